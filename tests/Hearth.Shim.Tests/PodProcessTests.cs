using System.Diagnostics;
using Hearth.Configuration;
using Hearth.Oci.Runtime;
using Hearth.Shim.Bootstrap;
using Hearth.Shim.Events;
using Hearth.Shim.Pods;
using Hearth.Shim.Specs;
using Hearth.Shim.Streams;

namespace Hearth.Shim.Tests;

public sealed class PodProcessTests
{
    [Fact]
    public async Task Who_hears_of_its_end_finds_it_stopped()
    {
        for (int i = 0; i < 2000; i++)
        {
            PodProcess process = NewProcess();
            process.HasStarted();
            Task<ProcessPhase> heard = process.Exited.ContinueWith(_ => process.Phase, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            Task<ProcessPhase> seen = Task.Run(() =>
            {
                while (!process.Exited.IsCompleted)
                {
                    Thread.SpinWait(1);
                }

                return process.Phase;
            });

            Assert.Null(process.Exit);
            Assert.True(process.TryExit(new ProcessExit(0, DateTimeOffset.UtcNow)));
            Assert.False(process.TryExit(new ProcessExit(1, DateTimeOffset.UtcNow)));
            process.HasStarted();
            Assert.Equal(0u, process.Exit!.Status);
            Assert.False(process.Exited.IsCompleted);
            process.TellExit();

            Assert.Equal(ProcessPhase.Stopped, await heard);
            Assert.Equal(ProcessPhase.Stopped, await seen);
            Assert.Equal(ProcessPhase.Stopped, process.Phase);
            Assert.Equal(0u, (await process.Exited).Status);
        }
    }

    /// <summary>Who hears of it may remove it, and that is told too. The pod's events stand still while someone begins to listen.</summary>
    [Fact]
    public async Task Who_waits_for_its_end_hears_of_it_after_the_manager_s_event()
    {
        await using var pod = new Pod(new PodOptions
        {
            Namespace = "test",
            PodId = "c",
            Paths = ShimPaths.OfSocket("/nowhere/task"),
            Log = new ShimLog(null, debug: true),
            ReadConfig = static _ => new HearthConfig(),
            StartMachine = static (_, _) => throw new UnreachableException(),
        });
        var container = new PodContainer
        {
            Id = "c",
            Bundle = "/nowhere",
            Kind = BundleKind.Alone,
            Spec = new RuntimeSpec(),
            Hooks = new HostHooks(null, new HookState("1.2.0", "c", "/nowhere", new Dictionary<string, string>()), static _ => { }),
            Init = NewProcess(),
        };
        container.Init.HasStarted();
        container.Init.TellStart();
        using var standing = new ManualResetEventSlim();
        using var goOn = new ManualResetEventSlim();
        Task listening = Task.Run(() => pod.Feed.ForwardAsync(
            () =>
            {
                standing.Set();
                goOn.Wait(ShimUnderTest.Deadline);
                return [];
            },
            null!,
            new CancellationToken(canceled: true)));
        Assert.True(standing.Wait(ShimUnderTest.Deadline));

        Task telling = Task.Run(() => pod.EndProcessAsync(container, container.Init, new ProcessExit(7, DateTimeOffset.UtcNow)));

        await ShimUnderTest.EventuallyAsync(() => container.Init.Phase == ProcessPhase.Stopped, "the process does not stop");
        // Who asks is told how it ended; who waits is not, however long the event takes.
        Assert.Equal(7u, container.State().ExitStatus);
        await Task.WhenAny(container.Init.Exited, Task.Delay(100));
        Assert.False(container.Init.Exited.IsCompleted);
        goOn.Set();
        await telling.WaitAsync(ShimUnderTest.Deadline);
        Assert.Equal(7u, (await container.Init.Exited.WaitAsync(ShimUnderTest.Deadline)).Status);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => listening);
    }

    private static PodProcess NewProcess() => new() { ContainerId = "c", ExecId = "", Stdio = new StdioRequest { Namespace = "default", ContainerId = "c" } };
}
