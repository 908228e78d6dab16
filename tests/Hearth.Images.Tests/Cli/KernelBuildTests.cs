using System.Diagnostics;

namespace Hearth.Images.Tests.Cli;

public sealed class KernelBuildTests : IDisposable
{
    private readonly FakeDebian _debian = new();

    public void Dispose() => _debian.Dispose();

    [Fact]
    public void A_kernel_is_built_once_and_then_found()
    {
        (int status, string output, string errors) = Build();
        Assert.True(status == 0, errors);
        Assert.Equal(_debian.Output + "\n", output);
        Assert.Equal("kernel\n", File.ReadAllText(_debian.Output));
        Assert.Contains("Compiling", errors, StringComparison.Ordinal);

        File.Delete(_debian.Output);
        Assert.Equal(0, Build().Status);

        Assert.Equal("kernel\n", File.ReadAllText(_debian.Output));
        Assert.Equal(1, _debian.Builds);
    }

    [Fact]
    public void Another_configuration_is_another_kernel()
    {
        string fragment = _debian.Write("my.config", "CONFIG_BTRFS_FS=y\n");

        Build();
        Build("--smp");
        Build("--smp", "--config", fragment);

        Assert.Equal(3, _debian.Builds);
    }

    [Fact]
    public void Two_at_once_build_once()
    {
        string go = _debian["go"];
        _debian.Make($"while [ ! -e {go} ]; do sleep 0.05; done; echo kernel >vmlinux");
        using Process first = _debian.Start("kernel", "build", "-o", _debian["one"]);
        using Process second = _debian.Start("kernel", "build", "-o", _debian["two"]);
        Await(() => _debian.Builds > 0);
        File.WriteAllText(go, string.Empty);

        Assert.Equal(0, FakeDebian.End(first).Status);
        Assert.Equal(0, FakeDebian.End(second).Status);

        Assert.Equal(1, _debian.Builds);
        Assert.Equal(File.ReadAllText(_debian["one"]), File.ReadAllText(_debian["two"]));
    }

    [Theory]
    [InlineData("TERM")]
    [InlineData("INT")]
    public void An_interrupted_build_leaves_nothing_and_ends_its_compiler(string signal)
    {
        string compiler = _debian["compiler"];
        _debian.Make($"sleep 1000 & echo $! >{compiler}.new; mv {compiler}.new {compiler}; wait");
        using Process hearth = _debian.Start("kernel", "build", "-o", _debian.Output);
        Await(() => File.Exists(compiler));
        string sleeper = File.ReadAllText(compiler).Trim();
        Assert.True(Directory.Exists($"/proc/{sleeper}"));

        using (Process kill = Process.Start("/bin/sh", ["-c", $"kill -{signal} {hearth.Id}"]))
        {
            kill.WaitForExit();
        }

        (int status, _, string errors) = FakeDebian.End(hearth);
        Assert.Equal(130, status);
        Assert.Contains("interrupted", errors, StringComparison.Ordinal);
        Await(() => !Directory.Exists($"/proc/{sleeper}"));
        Assert.False(File.Exists(_debian.Output));
        Assert.All(Directory.EnumerateFileSystemEntries(Path.Combine(_debian.Cache, "kernels")), e => Assert.True(e.EndsWith(".lock", StringComparison.Ordinal) || e.EndsWith(".log", StringComparison.Ordinal), e));
    }

    [Fact]
    public void A_build_that_fails_shows_the_end_of_its_log_and_keeps_it()
    {
        _debian.Make("echo early; for i in $(seq 40); do echo filler; done; echo 'main.c:1: error: no such luck' >&2; exit 2");

        (int status, string output, string errors) = Build();

        Assert.Equal(1, status);
        Assert.Empty(output);
        Assert.Contains("main.c:1: error: no such luck", errors, StringComparison.Ordinal);
        Assert.DoesNotContain("early", errors, StringComparison.Ordinal);
        string log = errors[(errors.IndexOf("The whole log: ", StringComparison.Ordinal) + "The whole log: ".Length)..].Trim();
        Assert.Contains("early", File.ReadAllText(log), StringComparison.Ordinal);
        Assert.False(File.Exists(_debian.Output));
    }

    [Fact]
    public void A_fragment_that_is_missing_or_broken_stops_before_anything_is_built()
    {
        (int status, _, string errors) = Build("--config", "nowhere.config");
        Assert.Equal(1, status);
        Assert.Contains("nowhere.config", errors, StringComparison.Ordinal);

        (status, _, errors) = Build("--config", _debian.Write("bad.config", "turn it on\n"));
        Assert.Equal(1, status);
        Assert.Contains("bad.config, line 1: \"turn it on\"", errors, StringComparison.Ordinal);
        Assert.Equal(0, _debian.Builds);
    }

    [Fact]
    public void An_output_that_is_a_folder_is_named()
    {
        Directory.CreateDirectory(_debian.Output);

        (int status, _, string errors) = Build();

        Assert.Equal(1, status);
        Assert.Contains($"\"{_debian.Output}\" is a folder", errors, StringComparison.Ordinal);
    }

    [Fact]
    public void A_check_says_what_is_missing_and_why()
    {
        (int status, string output, _) = _debian.Run("kernel", "check", _debian.Write("some.config", "CONFIG_VIRTIO_BLK=m\n"));

        Assert.Equal(1, status);
        Assert.Contains("CONFIG_VIRTIO_MMIO is needed. Without it: no devices", output, StringComparison.Ordinal);
        Assert.Contains("CONFIG_VIRTIO_BLK is a module", output, StringComparison.Ordinal);
        Assert.EndsWith("does not boot under Hearth\n", output, StringComparison.Ordinal);
    }

    private (int Status, string Output, string Errors) Build(params string[] more) => _debian.Run(["kernel", "build", "-o", _debian.Output, .. more]);

    private static void Await(Func<bool> condition)
    {
        var clock = Stopwatch.StartNew();
        while (!condition())
        {
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(60), "it does not happen");
            Thread.Yield();
        }
    }
}
