using System.Globalization;
using System.Text.RegularExpressions;
using Hearth.Lab.Tests.Pods;

namespace Hearth.Lab.Tests.Managers;

/// <summary>Debian's own Docker runs containers in our machines by containerd's shim for runc and hearth-oci.</summary>
public sealed class DockerTests(DockerLab lab) : DockerRuntimeTests(lab), IClassFixture<DockerLab>
{
    /// <summary>Docker looks at the cgroup of the process that stands for the container, and finds the machine there.</summary>
    [Fact]
    public void Stats_count_the_machine_and_a_limit_is_the_machines_size()
    {
        Docker.Ready();
        HostState before = Docker.Count();
        Docker.Ok("run", "-d", "--name", "counted", "--runtime", Docker.Runtime, "--network", "none", "-m", "200m", Docker.Busybox, "sleep", "100000");

        string id = Docker.Ok("inspect", "-f", "{{.Id}}", "counted");
        string cgroup = $"/sys/fs/cgroup/docker/{id}";
        // The process alone takes less.
        Assert.InRange(long.Parse(File.ReadAllText($"{cgroup}/memory.current"), CultureInfo.InvariantCulture), 32L << 20, long.MaxValue);
        Assert.InRange(long.Parse(File.ReadAllText($"{cgroup}/memory.max"), CultureInfo.InvariantCulture), 200L << 20, 2L << 30);
        string said = Docker.Ok("stats", "--no-stream", "--format", "{{.MemUsage}}|{{.PIDs}}", "counted");
        Match match = Regex.Match(said, @"^([0-9.]+)MiB / .*\|(\d+)$");
        Assert.True(match.Success, said);
        Assert.InRange(double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture), 20, 1000);
        Assert.InRange(int.Parse(match.Groups[2].Value, CultureInfo.InvariantCulture), 10, 200);

        Docker.Ok("rm", "-f", "counted");
        Docker.NothingLeft(before, Docker.IsDockers);
    }
}

/// <summary>Docker runs containers in our machines, by whatever runtime of ours.</summary>
public abstract class DockerRuntimeTests(DockerLab lab)
{
    private protected const string Service = "trap 'exit 0' TERM; sleep 100000 & wait";

    private protected DockerLab Docker => lab;

    [Fact]
    public void A_container_has_network_volumes_files_and_a_life()
    {
        lab.Ready();
        HostState before = lab.Count();
        string volume = Path.Combine(lab.Folder, "volume");
        Directory.CreateDirectory(volume);
        File.WriteAllText(Path.Combine(volume, "in"), "host\n");
        int port = PodLab.FreePort();
        lab.Ok(
            "run", "-d", "--runtime", lab.Runtime, "--name", "life", "--hostname", "box", "-v", $"{volume}:/v", "-p", $"127.0.0.1:{port}:80", lab.Busybox,
            "sh", "-c", "trap 'exit 5' TERM; cat /v/in; uname -r; echo guest >/v/out; mkdir -p /www; hostname >/www/index.html; httpd -p 80 -h /www; echo up; sleep 100000 & wait");
        lab.Eventually(() => lab.Ok("logs", "life").EndsWith("up", StringComparison.Ordinal), () => lab.Ok("logs", "life"));
        Assert.StartsWith("host\n", lab.Ok("logs", "life"));
        Assert.DoesNotContain(File.ReadAllText("/proc/sys/kernel/osrelease").Trim(), lab.Ok("logs", "life"));
        Assert.Equal("guest\n", File.ReadAllText(Path.Combine(volume, "out")));
        string address = lab.Ok("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "life");
        Assert.Equal((0, "box\n", ""), lab.Run("", "curl", "-sS", "-m", "60", $"http://{address}/"));
        Assert.Equal((0, "box\n", ""), lab.Run("", "curl", "-sS", "-m", "60", $"http://127.0.0.1:{port}/"));
        (int status, string output, string errors) = lab.Run("in\n", "docker", "exec", "-i", "life", "sh", "-c", "cat; echo bad >&2; exit 3");
        Assert.True(status == 3 && output == "in\n" && errors == "bad\n", $"{status}: {output}{errors}");
        (status, output, errors) = lab.Run("", "script", "-qec", "docker exec -it life tty", "/dev/null");
        Assert.True(status == 0 && output.Contains("/dev/pts/"), $"{status}: {output}{errors}");
        string file = Path.Combine(lab.Folder, "ok");
        File.WriteAllText(file, "copied\n");
        (status, output, errors) = lab.Docker("cp", file, "life:/ok");
        // Debian's 28.5.2 cannot set the mode of what it has copied, with runc neither.
        Assert.True(status == 0 || errors.Contains("chmod ok: via /proc/self/fd/"), $"{status}: {output}{errors}");
        Assert.Equal("copied", lab.Ok("exec", "life", "cat", "/ok"));
        lab.Ok("cp", "life:/www/index.html", file);
        Assert.Equal("box\n", File.ReadAllText(file));

        Assert.Matches(@"^[1-9][0-9.]*(KiB|MiB) / .*\|[1-9]\d*$", lab.Ok("stats", "--no-stream", "--format", "{{.MemUsage}}|{{.PIDs}}", "life"));

        lab.Ok("pause", "life");
        Assert.Contains("Paused", lab.Ok("ps", "--format", "{{.Status}}"));
        lab.Ok("unpause", "life");
        lab.Ok("stop", "-t", "60", "life");
        Assert.Equal("exited 5", lab.Ok("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "life"));
        lab.Ok("rm", "life");
        lab.NothingLeft(before, lab.IsDockers);
    }

    /// <summary>Docker deletes a container whenever it has ended; what joined its network has another manager's life.</summary>
    [Fact]
    public void What_joined_a_container_goes_on_when_that_ends_and_when_it_starts_again()
    {
        lab.Ready();
        HostState before = lab.Count();
        int[] others = ManagerLab.ProcessesWith("--id");
        string[] service = [lab.Busybox, "sh", "-c", Service];
        lab.Ok(["run", "-d", "--name", "first", "--runtime", lab.Runtime, .. service]);
        lab.Ok(["run", "-d", "--name", "second", "--runtime", lab.Runtime, "--network", "container:first", .. service]);
        int monitor = Assert.Single(ManagerLab.ProcessesWith("--id").Except(others));

        lab.Ok("stop", "-t", "60", "first");
        Assert.Equal("there", lab.Ok("exec", "second", "echo", "there"));
        Assert.Equal(monitor, Assert.Single(ManagerLab.ProcessesWith("--id").Except(others)));

        // Under the same id, in a new network, and so in a machine of its own.
        lab.Ok("start", "first");
        Assert.Equal("here", lab.Ok("exec", "first", "echo", "here"));
        int again = Assert.Single(ManagerLab.ProcessesWith("--id").Except([.. others, monitor]));
        lab.Ok("rm", "-f", "second");
        Assert.Equal("here", lab.Ok("exec", "first", "echo", "here"));
        Assert.Equal(again, Assert.Single(ManagerLab.ProcessesWith("--id").Except(others)));
        lab.Ok("rm", "-f", "first");
        lab.NothingLeft(before, lab.IsDockers);
    }

    [Fact]
    public void A_container_runs_to_its_end_with_input_output_and_status()
    {
        lab.Ready();
        HostState before = lab.Count();

        (int status, string output, string errors) = lab.Run(
            "typed\n", "docker", "run", "--rm", "-i", "--runtime", lab.Runtime, "--network", "none", lab.Busybox, "sh", "-c", "uname -r; cat; echo wrong >&2; exit 7");

        Assert.True(status == 7, $"{status}: {output}{errors}\n{lab.Tail()}");
        string[] lines = output.Split('\n');
        Assert.NotEqual(File.ReadAllText("/proc/sys/kernel/osrelease").Trim(), lines[0]);
        Assert.Equal(("typed", "wrong\n"), (lines[1], errors));
        lab.NothingLeft(before, lab.IsDockers);
    }

    [Theory]
    [InlineData("not-there", 127)]
    [InlineData("/etc", 126)]
    public void A_program_that_cannot_run_has_the_known_status(string program, int expected)
    {
        lab.Ready();
        HostState before = lab.Count();

        (int status, string output, string errors) = lab.Docker("run", "--rm", "--runtime", lab.Runtime, "--network", "none", lab.Busybox, program);

        Assert.True(status == expected && errors.Contains($"exec: \"{program}\""), $"{status}: {output}{errors}");
        lab.NothingLeft(before, lab.IsDockers);
    }

    /// <summary>What fails at its start, not before: Docker deletes it at once, and looks for its process first.</summary>
    [Fact]
    public void A_program_of_another_architecture_is_said_so_and_leaves_nothing()
    {
        lab.Ready();
        HostState before = lab.Count();
        string volume = Path.Combine(lab.Folder, "foreign");
        Directory.CreateDirectory(volume);
        byte[] program = File.ReadAllBytes("/bin/true");
        // ELF's e_machine: EM_AARCH64.
        program[18] = 0xb7;
        File.WriteAllBytes(Path.Combine(volume, "true"), program);
        File.SetUnixFileMode(Path.Combine(volume, "true"), UnixFileMode.UserRead | UnixFileMode.UserExecute);

        (int status, string output, string errors) = lab.Docker("run", "--rm", "--runtime", lab.Runtime, "--network", "none", "-v", $"{volume}:/v", lab.Busybox, "/v/true");

        Assert.True(status != 0 && errors.Contains("exec: \"/v/true\": exec format error"), $"{status}: {output}{errors}");
        lab.NothingLeft(before, lab.IsDockers);
    }

    [Theory]
    [InlineData("host's network, which", "--network", "host")]
    [InlineData("/dev/vda", "--network", "none", "--device", "/dev/vda")]
    public void What_a_machine_cannot_give_is_refused_in_words_and_leaves_nothing(string because, params string[] options)
    {
        lab.Ready();
        HostState before = lab.Count();

        (int status, string output, string errors) = lab.Docker(["run", "--rm", "--runtime", lab.Runtime, .. options, lab.Busybox, "true"]);

        Assert.True(status == 125 && errors.Contains(because), $"{status}: {output}{errors}");
        lab.NothingLeft(before, lab.IsDockers);
    }

    /// <summary>Docker's default network has no resolver, and its network may be there before the machine (before 28) or come after it.</summary>
    [Fact]
    public void A_container_that_runs_is_connected_to_networks_and_disconnected()
    {
        lab.Ready();
        HostState before = lab.Count();
        lab.Ok("network", "create", "first");
        lab.Ok("network", "create", "second");
        lab.Ok("run", "-d", "--name", "moved", "--runtime", lab.Runtime, lab.Busybox, "sh", "-c", Service);
        Assert.Equal(1, LinksOf("moved"));

        lab.Ok("network", "connect", "first", "moved");
        lab.Eventually(() => LinksOf("moved") == 2, Describe);
        Reaches("moved", "first");
        Assert.Contains(AddressOf("moved", "first"), lab.Ok("exec", "moved", "nslookup", "moved"));
        lab.Ok("network", "disconnect", "bridge", "moved");
        lab.Eventually(() => LinksOf("moved") == 1, Describe);
        lab.Ok("network", "connect", "second", "moved");
        lab.Eventually(() => LinksOf("moved") == 2, Describe);
        Reaches("moved", "second");
        Reaches("moved", "first");

        lab.Ok("rm", "-f", "moved");
        lab.Ok("network", "rm", "first", "second");
        lab.NothingLeft(before, lab.IsDockers);

        string Describe() => lab.Ok("exec", "moved", "ip", "addr");
    }

    // Besides the loopback.
    private protected int LinksOf(string name) => lab.Ok("exec", name, "ls", "/sys/class/net").Split('\n').Length - 1;

    private protected string AddressOf(string name, string network) => lab.Ok("inspect", "-f", $"{{{{.NetworkSettings.Networks.{network}.IPAddress}}}}", name);

    private protected void Reaches(string name, string network) =>
        lab.Ok("exec", name, "ping", "-c", "1", "-W", "60", lab.Ok("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", network));
}
