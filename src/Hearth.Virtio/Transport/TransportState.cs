using Hearth.Virtio.Queues;

namespace Hearth.Virtio.Transport;

/// <summary>What a snapshot keeps of a device's transport.</summary>
public sealed record TransportState
{
    public DeviceStatus Status { get; init; }

    public uint DeviceFeaturesSelect { get; init; }

    public uint DriverFeaturesSelect { get; init; }

    public ulong DriverFeatures { get; init; }

    public uint QueueSelect { get; init; }

    public uint InterruptStatus { get; init; }

    public uint ConfigGeneration { get; init; }

    public required IReadOnlyList<VirtqueueState> Queues { get; init; }
}
