using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Hearth.Oci.Runtime;
using Hearth.Shim.Protocol;
using Hearth.Shim.Protocol.Bootstrap;
using Hearth.Shim.Protocol.Tasks;
using Hearth.Ttrpc;

namespace Hearth.Shim.Tests;

/// <summary>
/// A pod's life in CRI-O's calls, in its order and with the fields that it sets (internal/oci/runtime_vm.go of CRI-O 1.37). How it starts
/// the shim is in <see cref="BootstrapTests"/>.
/// </summary>
public sealed class CrioTests
{
    private const string KindName = "io.kubernetes.cri-o.ContainerType";
    private const string PodName = "io.kubernetes.cri-o.SandboxID";

    // typeurl.MarshalAny of the package's types.
    private const string OptionsType = "runtimeoptions.v1.Options";
    private const string ProcessType = "types.containerd.io/opencontainers/runtime-spec/1/Process";

    [Fact]
    public async Task A_pod_lives_and_ends_by_CRI_Os_calls()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("p");
        ShimClient client = shim.Client;
        await CreateAsync(shim, "p", Sandbox("p", "exec sleep 1000"));
        Assert.Equal("/etc/crio/hearth.toml", shim.ConfigPath);
        await client.StartAsync("p");
        RuntimeSpec spec = Member("p", "trap 'exit 5' TERM; cat; sleep 1000 & wait");
        await CreateAsync(shim, "c", spec);
        Assert.Equal(Status.Created, (await client.StateAsync("c")).Status);
        await client.StartAsync("c");
        using var output = new StreamReader(new FileStream(Fifo(shim, "c", "stdout"), FileMode.Open, FileAccess.Read));
        using (var input = new FileStream(Fifo(shim, "c", "stdin"), FileMode.Open, FileAccess.Write))
        {
            input.Write("typed\n"u8);
        }

        Assert.Equal("typed", await output.ReadLineAsync().WaitAsync(ShimUnderTest.Deadline));
        await client.CloseIOAsync("c");

        // ExecSync: the container's own process with another command.
        Assert.Equal((3u, "out\n"), await ExecAsync(shim, spec.Process! with { Args = ["sh", "-c", "cat >/dev/null; echo out; exit 3"] }));

        // CRI-O restarted: a new connection, and its streams from where the state says.
        await using ShimClient again = await ShimClient.ConnectAsync(shim.Client.Address);
        StateResponse state = await again.StateAsync("c");
        Assert.Equal(
            (Status.Running, Fifo(shim, "c", "stdin"), Fifo(shim, "c", "stdout"), Fifo(shim, "c", "stderr"), false),
            (state.Status, state.Stdin, state.Stdout, state.Stderr, state.Terminal));
        Assert.True(Directory.Exists($"/proc/{state.Pid}"));

        // PauseContainer, UnpauseContainer: the stop of one that is paused unpauses it first.
        await again.PauseAsync("c");
        Assert.Equal(Status.Paused, (await again.StateAsync("c")).Status);
        await again.ResumeAsync("c");

        // StopContainer, then DeleteContainer. The pod's shim stays for the sandbox.
        Task<WaitResponse> ended = again.WaitAsync("c");
        await again.KillAsync("c", 15);
        Assert.Equal(5u, (await ended.WaitAsync(ShimUnderTest.Deadline)).ExitStatus);
        state = await again.StateAsync("c");
        Assert.Equal((Status.Stopped, 5u), (state.Status, state.ExitStatus));
        await again.DeleteAsync("c");
        await again.ShutdownAsync("c");
        Assert.Equal(StatusCode.NotFound, (await ShimUnderTest.RefusedAsync(() => again.StateAsync("c"))).Code);

        ended = again.WaitAsync("p");
        await again.KillAsync("p", 9);
        Assert.Equal(137u, (await ended.WaitAsync(ShimUnderTest.Deadline)).ExitStatus);
        await again.DeleteAsync("p");
        await again.ShutdownAsync("p");
        await shim.Ended.WaitAsync(ShimUnderTest.Deadline);
    }

    /// <summary>As CRI-O annotates a pod's sandbox.</summary>
    internal static RuntimeSpec Sandbox(string podId, string command) => ShimUnderTest.Specification(command, (KindName, "sandbox"), (PodName, podId));

    /// <summary>As CRI-O annotates a pod's container.</summary>
    internal static RuntimeSpec Member(string podId, string command) => ShimUnderTest.Specification(command, (KindName, "container"), (PodName, podId));

    private static Task CreateAsync(ShimUnderTest shim, string id, RuntimeSpec spec) => shim.CreateAsync(id, spec, request =>
    {
        (request.Stdin, request.Stdout, request.Stderr) = MakeFifos(shim, id);
        request.Options = new Any { TypeUrl = OptionsType, Value = new Options { ConfigPath = "/etc/crio/hearth.toml" }.ToByteString() };
    });

    private static async Task<(uint Status, string Output)> ExecAsync(ShimUnderTest shim, ProcessSpec process)
    {
        (string stdin, string stdout, string stderr) = MakeFifos(shim, "e");
        await shim.ExecAsync("c", "e", process, request =>
        {
            (request.Stdin, request.Stdout, request.Stderr) = (stdin, stdout, stderr);
            request.Spec.TypeUrl = ProcessType;
        });
        Task<string> output = Task.Run(() => File.ReadAllText(stdout));
        Task<string> errors = Task.Run(() => File.ReadAllText(stderr));
        await shim.Client.StartAsync("c", "e");
        Task<WaitResponse> ended = shim.Client.WaitAsync("c", "e");
        // It closes its own end, and says so.
        new FileStream(stdin, FileMode.Open, FileAccess.Write).Dispose();
        await shim.Client.CloseIOAsync("c", "e");
        uint status = (await ended.WaitAsync(ShimUnderTest.Deadline)).ExitStatus;
        await shim.Client.DeleteAsync("c", "e");
        Assert.Equal("", await errors.WaitAsync(ShimUnderTest.Deadline));
        return (status, await output.WaitAsync(ShimUnderTest.Deadline));
    }

    private static string Fifo(ShimUnderTest shim, string id, string stream) => Path.Combine(shim.Folder, $"{id}-{stream}");

    private static (string Input, string Output, string Errors) MakeFifos(ShimUnderTest shim, string id) =>
        (shim.MakeFifo($"{id}-stdin"), shim.MakeFifo($"{id}-stdout"), shim.MakeFifo($"{id}-stderr"));
}
