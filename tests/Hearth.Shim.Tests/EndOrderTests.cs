using Hearth.Oci.Runtime;
using Hearth.Shim.Protocol;
using Hearth.Ttrpc;

namespace Hearth.Shim.Tests;

/// <summary>The order in which a manager reads of a process's start and its end.</summary>
public sealed class EndOrderTests
{
    /// <summary>A hook keeps the answer back until the process has ended.</summary>
    [Fact]
    public async Task The_end_of_a_container_that_has_ended_before_its_start_is_answered_is_told_after_that()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("p");
        await shim.StartAsync("p", ShimUnderTest.Sandbox("p"));
        await using var wire = new WireRecorder(Path.Combine(shim.Folder, "wire"), shim.Client.Address);
        await using ShimClient client = await ShimClient.ConnectAsync(Path.Combine(shim.Folder, "wire"));
        using var limit = new CancellationTokenSource(ShimUnderTest.Deadline);
        using TtrpcStream<PodEvent> events = await client.EventsAsync(limit.Token);
        IAsyncEnumerator<PodEvent> next = events.ReadAllAsync(limit.Token).GetAsyncEnumerator(limit.Token);
        for (int i = 0; i < 20; i++)
        {
            string go = Path.Combine(shim.Folder, $"go{i}");
            var hook = new HookSpec { Path = "/bin/sh", Args = ["sh", "-c", $"until [ -e {go} ]; do sleep 0.01; done"], Env = ["PATH=/usr/bin:/bin"] };
            await shim.CreateAsync($"c{i}", ShimUnderTest.Member("p", "exit 0") with { Hooks = new HooksSpec { Poststart = [hook] } });
            ValueTask<bool> ended = next.MoveNextAsync();
            Task started = client.StartAsync($"c{i}", cancellation: limit.Token);
            // The shim has asked before, and is told first.
            await shim.Machine!.Agent.WaitProcessAsync(new Agent.Protocol.WaitProcessRequest { ContainerId = $"c{i}" }, limit.Token);
            await File.WriteAllTextAsync(go, "", limit.Token);
            await started;
            Assert.True(await ended);
            Assert.Equal($"c{i}", next.Current.ContainerStopped.ContainerId);
            // The answer, and then the event.
            Assert.Equal([2, 3], wire.Types[^2..]);
        }
    }
}
