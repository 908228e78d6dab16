using System.Diagnostics;
using System.Text.Json;
using Hearth.Oci.Runtime;
using Hearth.Programs.Oci;

namespace Hearth.OciRuntime.Tests;

/// <summary>What needs no machine: refusals, states, and what managers are told.</summary>
public sealed class CommandTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-oci-").FullName;

    private StateFolder States => new(Path.Combine(_folder, "root"));

    public void Dispose()
    {
        Directory.Delete(_folder, recursive: true);
        GC.SuppressFinalize(this);
    }

    [Theory]
    [InlineData("{}", "no process.args")]
    [InlineData("""{"process":{"args":["x"]}}""", "no root.path")]
    [InlineData("""{"process":{"args":["x"],"terminal":true},"root":{"path":"r"}}""", "--console-socket")]
    [InlineData("""{"process":{"args":["x"]},"root":{"path":"r"},"linux":{"namespaces":[{"type":"pid"}]}}""", "this host's network")]
    [InlineData("""{"process":{"args":["x"]},"root":{"path":"r"},"linux":{"namespaces":[{"type":"network","path":"/proc/self/ns/net"}]}}""", "this host's network")]
    [InlineData("nonsense", "cannot be used")]
    public async Task A_bundle_that_cannot_be_run_is_refused_and_nothing_is_left(string config, string because)
    {
        await File.WriteAllTextAsync(Path.Combine(_folder, "config.json"), config);
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
