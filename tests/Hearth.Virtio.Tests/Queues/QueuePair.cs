using Hearth.Platform.Memory;
using Hearth.Testing.Virtio;
using Hearth.Virtio.Queues;

namespace Hearth.Virtio.Tests.Queues;

/// <summary>A driver and the device's queue over the same rings.</summary>
internal sealed class QueuePair : IDisposable
{
    public const ulong MemoryBytes = 8 << 20;
    public const ulong Rings = 0x10_0000;

    public QueuePair(ushort size = 16, ulong features = VirtioFeatures.Common, ushort startIndex = 0)
    {
        Memory = GuestMemory.Create(MemoryBytes);
        Driver = new FakeDriver(Memory, Rings, size, features, startIndex);
        Assert.Equal(QueueFault.None, Virtqueue.TryCreate(Memory, Driver.Layout, size, features, Faults.Add, out Virtqueue? queue));
        Queue = queue!;
    }

    public GuestMemory Memory { get; }

    public FakeDriver Driver { get; }

    public Virtqueue Queue { get; }

    public List<QueueFault> Faults { get; } = [];

    public void Dispose() => Memory.Dispose();
}
