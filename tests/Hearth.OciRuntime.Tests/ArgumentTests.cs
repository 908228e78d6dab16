using Hearth.Programs.Oci;

namespace Hearth.OciRuntime.Tests;

/// <summary>Command lines as managers write them.</summary>
public sealed class ArgumentTests
{
    [Fact]
    public void Conmon_creates()
    {
        var arguments = Arguments.Parse(
            "--log-format=json --log /run/l/oci-log create --bundle /b --pid-file /run/pidfile --console-socket /run/s --no-pivot --preserve-fds 0 abc123".Split(' '));

        Assert.Equal(("create", "abc123"), (arguments.Command, arguments.Id()));
        Assert.Equal(("/run/l/oci-log", "json", "/b"), (arguments.Value("log"), arguments.Value("log-format"), arguments.Value("bundle", "b")));
        Assert.Equal(("/run/pidfile", "/run/s", "0"), (arguments.Value("pid-file"), arguments.Value("console-socket"), arguments.Value("preserve-fds")));
        Assert.True(arguments.Flag("no-pivot"));
    }

    [Fact]
    public void Conmon_adds_a_process()
    {
        var arguments = Arguments.Parse("--systemd-cgroup exec --pid-file /p --process /proc.json --detach abc".Split(' '));

        Assert.Equal(("exec", "abc", "/proc.json"), (arguments.Command, arguments.Id(), arguments.Value("process", "p")));
        Assert.True(arguments.Flag("detach", "d"));
        Assert.True(arguments.Flag("systemd-cgroup"));
    }

    [Fact]
    public void A_person_s_exec_ends_its_options_with_the_container()
    {
        var arguments = Arguments.Parse("exec -t -e A=1 --env B=2 --user 5:6 c ls -l --all".Split(' '));

        Assert.Equal(["c", "ls", "-l", "--all"], arguments.Operands);
        Assert.Equal(["A=1", "B=2"], arguments.Values("env", "e").Order(StringComparer.Ordinal));
        Assert.True(arguments.Flag("tty", "t"));
        Assert.Equal("5:6", arguments.Value("user", "u"));
    }

    [Theory]
    [InlineData("kill abc 15", "15", false)]
    [InlineData("kill --all abc KILL", "KILL", true)]
    [InlineData("kill -a abc -9", "-9", true)]
    public void Signals_follow_the_id(string line, string signal, bool all)
    {
        var arguments = Arguments.Parse(line.Split(' '));
        Assert.Equal(("abc", signal, all), (arguments.Id(), arguments.Operands[1], arguments.Flag("all", "a")));
    }

    [Theory]
    [InlineData("delete -f abc", true)]
    [InlineData("delete --force abc", true)]
    [InlineData("delete abc", false)]
    public void Force_is_a_flag(string line, bool force)
    {
        var arguments = Arguments.Parse(line.Split(' '));
        Assert.Equal(("abc", force), (arguments.Id(), arguments.Flag("force", "f")));
    }

    [Theory]
    [InlineData("state")]
    [InlineData("state ..")]
    [InlineData("state a/b")]
    [InlineData("create --bundle")]
    public void What_is_no_id_and_what_lacks_a_value_is_refused(string line) => Assert.Throws<OciException>(() => Arguments.Parse(line.Split(' ')).Id());

    [Theory]
    [InlineData("TERM", 15)]
    [InlineData("SIGKILL", 9)]
    [InlineData("-9", 9)]
    [InlineData("RTMIN+3", 37)]
    public void Signals_have_names(string text, uint number) => Assert.Equal(number, SignalNumbers.Parse(text));

    [Fact]
    public void What_a_stand_in_is_told_arrives()
    {
        var task = new StandInTask("unix:///run/s.sock", "c", "e", "/run/hearth-oci/c", true);
        Assert.Equal(task, StandInTask.Decode(task.Encode()));
        Assert.Throws<OciException>(() => StandInTask.Decode("x"));
    }
}
