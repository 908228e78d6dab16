using Hearth.Shim.Pods;
using Hearth.Shim.Streams;

namespace Hearth.Shim.Tests;

public sealed class PodProcessTests
{
    [Fact]
    public async Task Who_hears_of_its_end_finds_it_stopped()
    {
        for (int i = 0; i < 2000; i++)
        {
            var process = new PodProcess { ContainerId = "c", ExecId = "", Stdio = new StdioRequest { Namespace = "default", ContainerId = "c" } };
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

            Assert.True(process.TryExit(new ProcessExit(0, DateTimeOffset.UtcNow)));
            Assert.False(process.TryExit(new ProcessExit(1, DateTimeOffset.UtcNow)));
            process.HasStarted();

            Assert.Equal(ProcessPhase.Stopped, await heard);
            Assert.Equal(ProcessPhase.Stopped, await seen);
            Assert.Equal(ProcessPhase.Stopped, process.Phase);
            Assert.Equal(0u, (await process.Exited).Status);
        }
    }
}
