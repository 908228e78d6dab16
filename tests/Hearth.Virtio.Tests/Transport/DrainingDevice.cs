using Hearth.Linux;
using Hearth.Virtio.Queues;
using Hearth.Virtio.Rng;

namespace Hearth.Virtio.Tests.Transport;

/// <summary>The simplest device there is: two queues, whatever comes is given back, and it remembers how it was treated.</summary>
internal sealed class DrainingDevice : VirtioDevice
{
    public const ulong OwnFeature = 1UL << 3;

    private static readonly ushort[] s_queueSizes = [16, 8];
    private readonly byte[] _config = [1, 2, 3, 4, 5, 6, 7, 8];

    public override VirtioDeviceType Type => VirtioDeviceType.Rng;

    public override string Id => "drain";

    public override ulong OfferedFeatures => VirtioFeatures.Common | OwnFeature;

    public override ReadOnlySpan<ushort> MaxQueueSizes => s_queueSizes;

    // It counts nothing; any group will do.
    public override RngMetrics Metrics { get; } = new();

    public DeviceActivation? Active { get; private set; }

    public int Activations { get; private set; }

    public List<int> Notified { get; } = [];

    public bool FailsToActivate { get; set; }

    public override void ReadConfig(uint offset, Span<byte> destination)
    {
        destination.Clear();
        if (offset < _config.Length)
        {
            ReadOnlySpan<byte> source = _config.AsSpan((int)offset);
            source[..Math.Min(source.Length, destination.Length)].CopyTo(destination);
        }
    }

    public override void WriteConfig(uint offset, ReadOnlySpan<byte> source)
    {
        if (offset < _config.Length && source.Length <= _config.Length - offset)
        {
            source.CopyTo(_config.AsSpan((int)offset));
        }
    }

    public override void Activate(DeviceActivation activation)
    {
        if (FailsToActivate)
        {
            throw new HearthException("The host has no entropy left. Wait for some.");
        }

        Assert.Null(Active);
        Active = activation;
        Activations++;
    }

    public override void Reset() => Active = null;

    public override void OnQueueNotified(int queueIndex)
    {
        Assert.NotNull(Active);
        Assert.True(Gate.IsHeldByCurrentThread);
        Notified.Add(queueIndex);
        Virtqueue queue = Active.Queues[queueIndex];
        for (int i = 0; i < 64 && queue.TryPop(out DescriptorChain chain); i++)
        {
            queue.AddUsed(chain.Head, 0);
        }

        queue.PublishUsed();
        if (queue.NeedsNotification())
        {
            Active.Interrupt.SignalQueue(queueIndex);
        }
    }

    public void ChangeConfig(byte first)
    {
        lock (Gate)
        {
            _config[0] = first;
            NotifyConfigChanged();
        }
    }
}
