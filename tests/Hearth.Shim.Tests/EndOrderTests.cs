using Hearth.Oci.Runtime;
using Hearth.Shim.Protocol;
using Hearth.Ttrpc;

namespace Hearth.Shim.Tests;

/// <summary>The order in which a manager reads of a process's start and its end.</summary>
public sealed class EndOrderTests
{
    private delegate Task Starter(string id, ShimClient client, CancellationToken cancellation);

    [Fact]
    public async Task The_end_of_a_process_is_never_told_before_its_start_is_answered()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("c");
        await shim.StartAsync("c", ShimUnderTest.Specification("exec sleep 1000"));
        await CheckAsync(
            shim,
            async (id, client, cancellation) =>
            {
                await shim.ExecAsync("c", id, "exit 0");
                await client.StartAsync("c", id, cancellation);
            },
            static ended => ended.ExecStopped.ExecId);
    }

    /// <summary>A hook keeps the answer back until the process has ended.</summary>
    [Fact]
    public async Task The_end_of_a_container_that_has_ended_before_its_start_is_answered_is_told_after_that()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("p");
        await shim.StartAsync("p", ShimUnderTest.Sandbox("p"));
        await CheckAsync(
            shim,
            async (id, client, cancellation) =>
            {
                string go = Path.Combine(shim.Folder, $"go-{id}");
                var hook = new HookSpec { Path = "/bin/sh", Args = ["sh", "-c", $"until [ -e {go} ]; do sleep 0.01; done"], Env = ["PATH=/usr/bin:/bin"] };
                await shim.CreateAsync(id, ShimUnderTest.Member("p", "exit 0") with { Hooks = new HooksSpec { Poststart = [hook] } });
                Task started = client.StartAsync(id, cancellation: cancellation);
                // The shim has asked before, and is told first.
                await shim.Machine!.Agent.WaitProcessAsync(new Agent.Protocol.WaitProcessRequest { ContainerId = id }, cancellation);
                await File.WriteAllTextAsync(go, "", cancellation);
                await started;
            },
            static ended => ended.ContainerStopped.ContainerId);
    }

    // Twenty that end at once, each started by a manager whose frames are kept.
    private static async Task CheckAsync(ShimUnderTest shim, Starter start, Func<PodEvent, string> ended)
    {
        await using var wire = new WireRecorder(Path.Combine(shim.Folder, "wire"), shim.Client.Address);
        await using ShimClient client = await ShimClient.ConnectAsync(Path.Combine(shim.Folder, "wire"));
        using var limit = new CancellationTokenSource(ShimUnderTest.Deadline);
        using TtrpcStream<PodEvent> events = await client.EventsAsync(limit.Token);
        IAsyncEnumerator<PodEvent> next = events.ReadAllAsync(limit.Token).GetAsyncEnumerator(limit.Token);
        for (int i = 0; i < 20; i++)
        {
            string id = $"e{i}";
            ValueTask<bool> end = next.MoveNextAsync();
            await start(id, client, limit.Token);
            Assert.True(await end);
            Assert.Equal(id, ended(next.Current));
            // The answer, and then the event.
            Assert.Equal([2, 3], wire.Types[^2..]);
        }
    }
}
