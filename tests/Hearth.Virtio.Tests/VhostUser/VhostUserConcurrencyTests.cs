using Hearth.Testing.Virtio;
using Hearth.Virtio.Block;
using Hearth.Virtio.Transport;
using Hearth.Virtio.VhostUser;

namespace Hearth.Virtio.Tests.VhostUser;

/// <summary>The guest's processor, the event loop, the API and a back end that comes and goes, each on its thread.</summary>
public class VhostUserConcurrencyTests
{
    private const int Lives = 150;
    private const int MostLives = 20 * Lives;

    [Fact]
    public void A_back_end_that_comes_and_goes_under_a_resetting_guest_harms_nobody()
    {
        using var backEnd = new FakeBackEnd { Holds = true };
        var device = new VhostUserBlockDevice(new VhostUserBlockConfig { DriveId = "d", Socket = backEnd.Path });
        using var bench = new DeviceBench(device);
        using var stop = new CancellationTokenSource();
        int life = 0;
        var loop = new Thread(bench.Loop.Run);
        var operatorThread = new Thread(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                backEnd.Die();
                backEnd.StartAgain();
                // Time enough for some lives to be undisturbed, on a busy machine the later ones.
                stop.Token.WaitHandle.WaitOne(3 + (Volatile.Read(ref life) / 10));
            }
        });
        var api = new Thread(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                try
                {
                    device.Refresh();
                }
                catch (VhostUserException)
                {
                    // It was away.
                }
            }
        });
        Thread[] threads = [loop, operatorThread, api];
        Array.ForEach(threads, static t => t.Start());
        int started = 0;
        for (; life < Lives || (started == 0 && life < MostLives); Volatile.Write(ref life, life + 1))
        {
            bench.Start();
            FakeDriver queue = bench.Queues[0];
            queue.Add(queue.Readable(new byte[16]), queue.Writable(512), queue.Writable(1));
            bench.Driver.Ring(0);
            started += (bench.Driver.Status & DeviceStatus.NeedsReset) == 0 ? 1 : 0;
            bench.Driver.Reset();
            Assert.Equal(DeviceStatus.None, bench.Driver.Status);
        }

        stop.Cancel();
        operatorThread.Join();
        api.Join();
        bench.Loop.Stop();
        loop.Join();
        Assert.NotEqual(0, started);
        bench.Start();
        Assert.Equal((DeviceStatus)0x0f, bench.Driver.Status);
    }
}
