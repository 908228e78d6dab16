using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Hearth.Agent.Protocol;
using Hearth.Oci.Runtime;
using Hearth.Programs.Oci;
using Hearth.Testing;
using InterfaceStats = Hearth.Shim.Protocol.InterfaceStats;

namespace Hearth.OciRuntime.Tests;

/// <summary>What needs no machine: refusals, states, and what managers are told.</summary>
public sealed class CommandTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-oci-").FullName;

    private StateFolder States => new(Path.Combine(_folder, "root"));

    public void Dispose()
    {
        Environment.SetEnvironmentVariable("HEARTH_CONFIG", null);
        Directory.Delete(_folder, recursive: true);
        GC.SuppressFinalize(this);
    }

    [Theory]
    [InlineData("{}", "no process.args")]
    [InlineData("""{"process":{"args":["x"]}}""", "no root.path")]
    [InlineData("""{"process":{"args":["x"],"terminal":true},"root":{"path":"r"}}""", "--console-socket")]
    [InlineData("""{"process":{"args":["x"]},"root":{"path":"r"},"linux":{"namespaces":[{"type":"pid"}]}}""", "this host's network")]
    [InlineData("""{"process":{"args":["x"]},"root":{"path":"r"},"linux":{"namespaces":[{"type":"network","path":"/proc/self/ns/net"}]}}""", "this host's network")]
    [InlineData("""{"process":{"args":["x"]},"root":{"path":"r"},"linux":{"namespaces":[{"type":"network"},{"type":"ipc"},{"type":"uts"}]}}""", "this host's pid namespace (--pid host)")]
    [InlineData("""{"process":{"args":["x"]},"root":{"path":"r"},"linux":{"namespaces":[{"type":"network"},{"type":"pid"},{"type":"uts"}]}}""", "this host's ipc namespace")]
    [InlineData("""{"process":{"args":["x"]},"root":{"path":"r"},"linux":{"namespaces":[{"type":"network"},{"type":"pid"},{"type":"ipc","path":"/proc/self/ns/ipc"},{"type":"uts"}]}}""", "this host's ipc namespace")]
    [InlineData("""{"process":{"args":["x"]},"root":{"path":"r"},"linux":{"namespaces":[{"type":"network"},{"type":"pid"},{"type":"ipc"}]}}""", "this host's uts namespace")]
    [InlineData("""{"process":{"args":["x"]},"root":{"path":"r"},"linux":{"namespaces":[{"type":"network"},{"type":"pid","path":"/nowhere"},{"type":"ipc"},{"type":"uts"}]}}""", "not in its machine")]
    [InlineData("""{"process":{"args":["x"]},"root":{"path":"r"},"linux":{"namespaces":[{"type":"network"},{"type":"pid"},{"type":"ipc","path":"/proc/self/ns/uts"},{"type":"uts"}]}}""", "/proc/self/ns/uts (linux.namespaces) is no namespace of the kind ipc.")]
    [InlineData("""{"process":{"args":["x"]},"root":{"path":"r"},"linux":{"namespaces":[{"type":"network","path":"/proc/self/status"}]}}""", "is no namespace of the kind network")]
    [InlineData("""{"ociVersion":"3.0.0","process":{"args":["x"]},"root":{"path":"r"}}""", "its ociVersion is \"3.0.0\", and only 1.x is known")]
    [InlineData("nonsense", "cannot be used")]
    [InlineData("", "There is no config.json in ")]
    public async Task A_bundle_that_cannot_be_run_is_refused_and_nothing_is_left(string config, string because)
    {
        UseShim("");
        if (config.Length > 0)
        {
            await File.WriteAllTextAsync(Path.Combine(_folder, "config.json"), config);
        }

        string log = Path.Combine(_folder, "log");

        int status = await OciProgram.RunAsync(["--root", States.Root, "--log", log, "--log-format", "json", "create", "--bundle", _folder, "c1"]);

        Assert.Equal(1, status);
        using var line = JsonDocument.Parse(await File.ReadAllTextAsync(log));
        Assert.Equal("error", line.RootElement.GetProperty("level").GetString());
        Assert.Contains(because, line.RootElement.GetProperty("msg").GetString());
        Assert.Empty(States.All());
        Assert.False(Directory.Exists(States.Of("c1")));
    }

    [Fact]
    public async Task Descriptors_cannot_be_given_into_a_machine() =>
        Assert.Contains("descriptors", (await Assert.ThrowsAsync<OciException>(() => CreateCommand.RunAsync(States, Arguments.Parse(["create", "--preserve-fds", "2", "c1"])))).Message);

    [Fact]
    public void An_id_is_taken_once()
    {
        States.Reserve("c1");
        Assert.Contains("exists", Assert.Throws<OciException>(() => States.Reserve("c1")).Message);
        States.Remove("c1");
        States.Reserve("c1");
    }

    [Fact]
    public async Task A_container_whose_process_has_ended_is_stopped_whoever_has_its_number_now()
    {
        using Process child = Process.Start(new ProcessStartInfo("sleep", ["1000"]))!;
        ContainerState state = State(child.Id, HostProcess.StartOf(child.Id));
        Assert.True(HostProcess.IsThere(state));
        Assert.False(HostProcess.IsThere(state with { PidStart = "1" }));
        child.Kill();
        await child.WaitForExitAsync();
        Assert.Equal("stopped", await LifeCommands.StatusAsync(state));
        Assert.Contains("container not running", (await Assert.ThrowsAsync<OciException>(() => LifeCommands.SignalAsync(state, "TERM", all: false))).Message);
    }

    [Fact]
    public async Task A_process_that_has_ended_is_awaited_until_its_parent_knows()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        // The child's parent turns into a program that never waits for it.
        using Process parent = Process.Start(new ProcessStartInfo("sh", ["-c", "sleep 1000 & echo $!; exec sleep 1000"]) { RedirectStandardOutput = true })!;
        int child = int.Parse((await parent.StandardOutput.ReadLineAsync())!, CultureInfo.InvariantCulture);
        while (File.ReadAllText($"/proc/{parent.Id}/comm").Trim() != "sleep")
        {
            await Task.Delay(10, limit.Token);
        }

        ContainerState state = State(child, HostProcess.StartOf(child));
        Assert.True(HostProcess.IsThere(state) && HostProcess.IsAwaited(state));

        using (Process ended = Process.GetProcessById(child))
        {
            ended.Kill();
        }

        while (HostProcess.IsThere(state))
        {
            await Task.Delay(10, limit.Token);
        }

        Assert.True(HostProcess.IsAwaited(state));
        Assert.False(HostProcess.IsAwaited(state with { PidStart = "1" }));
        parent.Kill();
    }

    [Theory]
    [InlineData("392 (hearth-oci) S 1 392 392 0 -1", true)]
    [InlineData("392 (a) 1 (b) S 11 392 392 0 -1", false)]
    public void A_process_whose_manager_has_died_is_the_first_ones_child(string stat, bool orphan) => Assert.Equal(orphan, HostProcess.IsOrphan(stat));

    [Fact]
    public void What_is_written_down_is_read_again()
    {
        States.Reserve("c1");
        ContainerState state = State(1, "2") with { Annotations = new Dictionary<string, string> { ["a"] = "b" } };
        States.Write(state);

        ContainerState read = States.Read("c1");
        Assert.Equal((state.Shim, state.Created, "b"), (read.Shim, read.Created, read.Annotations["a"]));
        Assert.Equal("c1", Assert.Single(States.All()).Id);
        Assert.Throws<OciException>(() => States.Read("c2"));
    }

    [Fact]
    public async Task Deleting_what_is_not_there_fails_unless_forced()
    {
        await Assert.ThrowsAsync<OciException>(() => LifeCommands.DeleteAsync(States, "c1", force: false));
        await LifeCommands.DeleteAsync(States, "c1", force: true);
    }

    [Fact]
    public async Task An_id_is_taken_once_by_however_many_at_a_time()
    {
        for (int i = 0; i < 50; i++)
        {
            string id = $"c{i}";
            bool[] taken = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
            {
                try
                {
                    States.Reserve(id);
                    return true;
                }
                catch (OciException)
                {
                    return false;
                }
            })));
            Assert.Single(taken, static one => one);
        }
    }

    /// <summary>The manager, or create itself, was killed: there is no state yet, and there may be a machine.</summary>
    [Fact]
    public async Task What_a_killed_create_left_is_ended_by_force_and_by_nothing_else()
    {
        string called = Path.Combine(_folder, "called");
        UseShim($"#!/bin/sh\necho \"$@\" >>{called}\n");
        States.Reserve("c1");
        await File.WriteAllTextAsync(States.ConfigOf("c1"), "{}");

        await Assert.ThrowsAsync<OciException>(() => LifeCommands.DeleteAsync(States, "c1", force: false));
        Assert.True(States.HasBundle("c1"));
        Assert.False(File.Exists(called));

        await LifeCommands.DeleteAsync(States, "c1", force: true);
        Assert.Equal($"-namespace hearth-oci:{States.Root} -id c1 -bundle {States.BundleOf("c1")} delete\n", await File.ReadAllTextAsync(called));
        Assert.False(Directory.Exists(States.Of("c1")));
    }

    /// <summary>Two managers, each with a folder of its own, or two users of one: neither finds the other's machine, and so neither ends it.</summary>
    [Fact]
    public async Task The_same_id_in_another_folder_is_another_pod()
    {
        UseShim("#!/bin/sh\necho \"unix://$2\"\n");
        var other = new StateFolder(Path.Combine(_folder, "other"));
        States.Reserve("c1");
        other.Reserve("c1");
        Assert.NotEqual(await new ShimCommands(States).StartAsync("c1"), await new ShimCommands(other).StartAsync("c1"));
    }

    [Theory]
    [InlineData("[microvm]\nmemori_mib = 3\n", "unknown key \"memori_mib\"")]
    [InlineData("[microvm]\nshim = \"/nowhere/shim\"\n", "There is no program \"/nowhere/shim\" (microvm.shim in hearth.toml)")]
    public async Task A_configuration_that_is_none_leaves_nothing(string config, string because)
    {
        UseShim("");
        await File.WriteAllTextAsync(Path.Combine(_folder, "hearth.toml"), config);
        await File.WriteAllTextAsync(
            Path.Combine(_folder, "config.json"),
            """{"process":{"args":["x"]},"root":{"path":"r"},"linux":{"namespaces":[{"type":"network"},{"type":"pid"},{"type":"ipc"},{"type":"uts"}]}}""");
        string log = Path.Combine(_folder, "log");

        Assert.Equal(1, await OciProgram.RunAsync(["--root", States.Root, "--log", log, "create", "--bundle", _folder, "c1"]));

        Assert.Contains(because.Replace("\"", "\\\""), await File.ReadAllTextAsync(log));
        Assert.False(Directory.Exists(States.Of("c1")));
    }

    [Fact]
    public async Task A_program_that_is_no_shim_is_said_so()
    {
        UseShim("#!/bin/sh\necho hello\n");
        States.Reserve("c1");
        Assert.Equal("The shim printed no address: \"hello\". Is it hearth-shim, of this version?", (await Assert.ThrowsAsync<OciException>(() => new ShimCommands(States).StartAsync("c1"))).Message);
    }

    [Fact]
    public async Task A_shim_that_is_no_program_is_said_so()
    {
        UseShim("");
        States.Reserve("c1");
        OciException e = await Assert.ThrowsAsync<OciException>(() => new ShimCommands(States).StartAsync("c1"));
        Assert.StartsWith($"{_folder}/shim (microvm.shim in hearth.toml) cannot be started:", e.Message);
    }

    [Fact]
    public void A_containers_counters_are_told_as_runc_tells_them()
    {
        var stats = new StatsResponse
        {
            Cpu = new CpuStats { UsageMicroseconds = 7, UserMicroseconds = 4, SystemMicroseconds = 3, ThrottledPeriods = 2, ThrottledMicroseconds = 1 },
            Memory = new MemoryStats { Usage = 100, WorkingSet = 60, Anonymous = 50, File = 40, PageFaults = 9, MajorPageFaults = 8, OomKills = 1 },
            Pids = new PidsStats { Current = 5, Limit = 6 },
        };
        string line = EventsCommand.Line("stats", "c1", json => EventsCommand.Write(json, stats, [new InterfaceStats { Name = "eth0", ReceivedBytes = 11, SentBytes = 12 }]));
        Assert.Equal(
            """
            {"type":"stats","id":"c1","data":{"cpu":{"usage":{"total":7000,"kernel":3000,"user":4000},"throttling":{"throttledPeriods":2,"throttledTime":1000}},"memory":{"cache":40,"usage":{"limit":18446744073709551615,"usage":100,"failcnt":1},"raw":{"anon":50,"file":40,"inactive_file":40,"pgfault":9,"pgmajfault":8}},"pids":{"current":5,"limit":6},"network_interfaces":[{"Name":"eth0","RxBytes":11,"RxPackets":0,"RxErrors":0,"RxDropped":0,"TxBytes":12,"TxPackets":0,"TxErrors":0,"TxDropped":0}]}}
            """,
            line);
    }

    [Theory]
    [InlineData("500ms", 0.5)]
    [InlineData("2s", 2)]
    [InlineData("1.5m", 90)]
    [InlineData("3", 3)]
    public void An_interval_is_a_time(string text, double seconds) => Assert.Equal(TimeSpan.FromSeconds(seconds), EventsCommand.Interval(text));

    [Theory]
    [InlineData("")]
    [InlineData("ms")]
    [InlineData("0s")]
    [InlineData("-1s")]
    [InlineData("NaN")]
    [InlineData("99999999h")]
    [InlineData("1e300s")]
    [InlineData("2000m")]
    public void Nonsense_is_no_interval(string text) => Assert.Throws<OciException>(() => EventsCommand.Interval(text));

    [Fact]
    public async Task Hooks_see_the_state_and_their_failure_is_told()
    {
        string seen = Path.Combine(_folder, "seen");
        var spec = new RuntimeSpec
        {
            Hooks = new HooksSpec
            {
                Prestart = [new HookSpec { Path = "/bin/sh", Args = ["sh", "-c", $"cat >{seen}; echo $X >>{seen}"], Env = ["X=y"] }],
                CreateRuntime = [new HookSpec { Path = "/bin/sh", Args = ["another-name", "-c", "echo bad $0 >&2; exit 3"] }],
            },
        };

        OciException e = await Assert.ThrowsAsync<OciException>(() => new ContainerHooks(spec, "c1", "/bundle").RunBeforeAsync(42));

        Assert.Contains("ended with 3: bad another-name", e.Message);
        string[] lines = await File.ReadAllLinesAsync(seen);
        using var state = JsonDocument.Parse(string.Concat(lines[..^1].Append(lines[^1].EndsWith('y') ? lines[^1][..^1] : "")));
        Assert.Equal((42, "creating"), (state.RootElement.GetProperty("pid").GetInt32(), state.RootElement.GetProperty("status").GetString()));
    }

    [Fact]
    public async Task A_sample_bundle_is_one_that_can_be_read()
    {
        Assert.Equal(0, await OciProgram.RunAsync(["spec", "--bundle", _folder]));
        RuntimeSpec spec = RuntimeSpec.Parse(await File.ReadAllBytesAsync(Path.Combine(_folder, "config.json")));
        Assert.Equal(["sh"], spec.Process!.Args);
        Assert.Equal(1, await OciProgram.RunAsync(["spec", "--bundle", _folder]));
    }

    // No other test of this program runs a shim.
    private void UseShim(string script)
    {
        string shim = Path.Combine(_folder, "shim");
        string config = Path.Combine(_folder, "hearth.toml");
        ProgramFile.Write(shim, script);
        File.WriteAllText(config, $"[microvm]\nshim = \"{shim}\"\n");
        Environment.SetEnvironmentVariable("HEARTH_CONFIG", config);
    }

    private static ContainerState State(int pid, string start) => new()
    {
        Id = "c1",
        Bundle = "/b",
        Shim = "/nobody.sock",
        PodId = "c1",
        Pid = pid,
        PidStart = start,
        OciVersion = "1.2.0",
        Created = DateTimeOffset.UnixEpoch,
    };
}
