using System.Diagnostics;
using Hearth.Linux;
using Hearth.Platform.Memory;
using Hearth.Virtio;
using Hearth.Virtio.Transport;

namespace Hearth.Testing.Virtio;

/// <summary>
/// A device on a bench: guest memory, an MMIO transport, a line that counts, a fake driver for each queue, and an
/// event loop that the test turns by hand, so that nothing happens between two lines of a test.
/// </summary>
public sealed class DeviceBench : IDisposable
{
    /// <summary>The first queue's rings; others follow. What lies below stays untouched by a correct device.</summary>
    public const ulong FirstRing = 0x10_0000;

    private readonly bool _ownsDevice;

    public DeviceBench(VirtioDevice device, ulong memoryBytes = 64 << 20, bool ownsDevice = true)
    {
        Device = device;
        _ownsDevice = ownsDevice;
        Memory = GuestMemory.Create(memoryBytes, device.HasRemoteQueues ? GuestMemoryBacking.SharedMemfd : GuestMemoryBacking.Anonymous);
        Transport = new MmioTransport(device, Memory, Line, Loop);
        Driver = new FakeMmioDriver(Transport);
    }

    public VirtioDevice Device { get; }

    public GuestMemory Memory { get; }

    public RecordingInterruptLine Line { get; } = new();

    public EventLoop Loop { get; } = new();

    public MmioTransport Transport { get; }

    public FakeMmioDriver Driver { get; }

    /// <summary>A driver a queue, from the last <see cref="Start"/>.</summary>
    public IReadOnlyList<FakeDriver> Queues { get; private set; } = [];

    /// <summary>Brings the device from reset to work, with fresh rings of the greatest size.</summary>
    public void Start(ulong wantedFeatures = ulong.MaxValue, uint heapBytes = 4 << 20)
    {
        var queues = new List<FakeDriver>();
        ulong address = FirstRing;
        foreach (ushort size in Device.MaxQueueSizes)
        {
            var queue = new FakeDriver(Memory, address, size, Device.OfferedFeatures & wantedFeatures, heapBytes: heapBytes);
            queues.Add(queue);
            address = queue.End;
        }

        Queues = queues;
        Driver.Start(queues.ConvertAll(static q => q.Layout), wantedFeatures);
    }

    /// <summary>Rings a queue and turns the loop until it is quiet.</summary>
    public void Kick(int queue)
    {
        Transport.QueueNotifiers[queue].Signal();
        Pump();
    }

    /// <summary>Turns the loop until nothing is ready.</summary>
    public void Pump()
    {
        // A device that rings its own bell for ever is a defect; a thousand turns are far more than any test needs.
        for (int turn = 0; turn < 1000; turn++)
        {
            if (!Loop.RunOnce(0))
            {
                return;
            }
        }

        Assert.Fail("The event loop does not become quiet.");
    }

    /// <summary>Turns the loop until <paramref name="condition"/> holds; for what comes from outside (sockets, timers).</summary>
    public void PumpUntil(Func<bool> condition, string what)
    {
        var clock = Stopwatch.StartNew();
        while (!condition())
        {
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(30), $"Waited 30 s for: {what}.");
            Loop.RunOnce(10);
        }
    }

    public void Dispose()
    {
        Transport.Dispose();
        if (_ownsDevice)
        {
            Device.Dispose();
        }

        Loop.Dispose();
        Line.Dispose();
        Memory.Dispose();
    }
}
