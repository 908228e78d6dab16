using System.Diagnostics;
using Hearth.Linux;
using Hearth.Platform.Interrupts;
using Hearth.Platform.Memory;
using Hearth.Testing.Virtio;
using Hearth.Virtio.Block;
using Hearth.Virtio.Transport;

namespace Hearth.Virtio.Tests.Block;

/// <summary>A driver on one thread and the device's loop on another, with nothing but rings, bells and interrupts between them.</summary>
public class BlockConcurrencyTests
{
    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(60);

    [Theory]
    [InlineData(ulong.MaxValue)]
    [InlineData(VirtioFeatures.Version1)]
    public void Every_request_of_a_driver_on_another_thread_completes(ulong features)
    {
        const int Requests = 20_000;
        const int Depth = 32;
        byte[] content = TemporaryFile.Pattern(1024 * 512);
        using var file = new TemporaryFile(content);
        using var device = new BlockDevice(new BlockConfig { DriveId = "d", Path = file.Path });
        using var memory = GuestMemory.Create(16 << 20);
        using var loop = new EventLoop();
        using var line = new WakingLine();
        var transport = new MmioTransport(device, memory, line, loop);
        var queue = new FakeDriver(memory, DeviceBench.FirstRing, 256, features);
        new FakeMmioDriver(transport).Start([queue.Layout], features);
        var thread = new Thread(loop.Run);
        thread.Start();
        try
        {
            var clock = Stopwatch.StartNew();
            int sent = 0;
            int done = 0;
            var pending = new Dictionary<ushort, (int Sector, FakeBuffer Data, FakeBuffer Status)>();
            while (done < Requests)
            {
                while (queue.Outstanding < Depth && sent < Requests)
                {
                    int sector = sent * 37 % 1024;
                    FakeBuffer data = queue.Writable(512);
                    FakeBuffer status = queue.Readable([0xee]) with { Writable = true };
                    FakeBuffer header = queue.Readable(new Header(BlockBench.In, (ulong)sector));
                    pending[queue.Add(header, data, status)] = (sector, data, status);
                    sent++;
                }

                if (queue.NeedsKick())
                {
                    transport.QueueNotifiers[0].Signal();
                }

                while (queue.TryTakeUsed(out UsedElement used))
                {
                    Assert.True(pending.Remove(used.Head, out (int Sector, FakeBuffer Data, FakeBuffer Status) request));
                    Assert.Equal(513u, used.Length);
                    Assert.Equal([0], queue.Bytes(request.Status));
                    Assert.Equal(content[(request.Sector * 512)..((request.Sector + 1) * 512)], queue.Bytes(request.Data));
                    done++;
                }

                // Sleeps only where no more can be sent, so a lost bell or interrupt ends in the deadline.
                if (queue.Outstanding > 0 && queue.TryEnableInterrupts())
                {
                    Assert.True(line.Wait(s_deadline - clock.Elapsed), $"No interrupt came after {done} of {Requests} requests.");
                }
            }
        }
        finally
        {
            loop.Stop();
            thread.Join();
            transport.Dispose();
        }
    }

    [Fact]
    public void Resets_in_the_middle_of_io_complete_nothing_afterwards()
    {
        using var file = new TemporaryFile(new byte[1024 * 512]);
        using var device = new BlockDevice(new BlockConfig { DriveId = "d", Path = file.Path });
        using var memory = GuestMemory.Create(16 << 20);
        using var loop = new EventLoop();
        using var line = new WakingLine();
        var transport = new MmioTransport(device, memory, line, loop);
        var driver = new FakeMmioDriver(transport);
        var thread = new Thread(loop.Run);
        thread.Start();
        int completed = 0;
        try
        {
            // A host may give the device's thread no turn in so many lives.
            for (int life = 0; life < 300 || (completed == 0 && life < 20 * 300); life++)
            {
                var queue = new FakeDriver(memory, DeviceBench.FirstRing, 256);
                driver.Start([queue.Layout]);
                for (int i = 0; i < 64; i++)
                {
                    queue.Add(queue.Readable(new Header(BlockBench.In, 0)), queue.Writable(4096), queue.Writable(1));
                    if (i % 8 == life % 8)
                    {
                        driver.Ring(0);
                    }
                }

                driver.Reset();
                ushort used = queue.UsedIdx;
                completed += used;
                int edges = line.Edges;
                driver.Ring(0);
                using var turned = new ManualResetEventSlim();
                loop.Post(turned.Set);
                Assert.True(turned.Wait(s_deadline));
                Assert.Equal(used, queue.UsedIdx);
                Assert.Equal(edges, line.Edges);
                Assert.Equal(0u, driver.InterruptStatus);
            }
        }
        finally
        {
            loop.Stop();
            thread.Join();
            transport.Dispose();
        }

        Assert.NotEqual(0, completed);
    }

    private readonly record struct Header(uint Type, uint Reserved, ulong Sector)
    {
        public Header(uint type, ulong sector)
            : this(type, 0, sector)
        {
        }
    }

    private sealed class WakingLine : IInterruptLine, IDisposable
    {
        private readonly SemaphoreSlim _edges = new(0);
        private int _count;

        public int Edges => Volatile.Read(ref _count);

        public void Trigger()
        {
            Interlocked.Increment(ref _count);
            _edges.Release();
        }

        public bool Wait(TimeSpan timeout) => timeout > TimeSpan.Zero && _edges.Wait(timeout);

        public void Dispose() => _edges.Dispose();
    }
}
