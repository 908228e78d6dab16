using Hearth.Linux;
using Hearth.Platform.Memory;
using Hearth.Virtio.Queues;

namespace Hearth.Virtio;

/// <summary>All that a device is lent from its driver's DRIVER_OK until the next reset, when it must let go of it.</summary>
public sealed class DeviceActivation
{
    public required GuestMemory Memory { get; init; }

    /// <summary>The negotiated feature bits: a subset of what the device offered.</summary>
    public required ulong Features { get; init; }

    /// <summary>
    /// One entry for each of <see cref="VirtioDevice.MaxQueueSizes"/>. A queue that the driver did not set up is
    /// there too; it is simply always empty.
    /// </summary>
    public required Virtqueue[] Queues { get; init; }

    public required IVirtioInterrupt Interrupt { get; init; }

    /// <summary>Where the device may add its own descriptors (a TAP, a timer).</summary>
    public required EventLoop Loop { get; init; }

    /// <summary>
    /// The queues' doorbells. A device that stops before its queue is empty, so that other devices get their turn,
    /// rings its own and is called again.
    /// </summary>
    public required IReadOnlyList<EventFd> Notifiers { get; init; }

    public bool HasFeature(ulong feature) => (Features & feature) == feature;
}
