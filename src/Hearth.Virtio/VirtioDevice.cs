using Hearth.Platform.Telemetry;
using Hearth.Virtio.Transport;

namespace Hearth.Virtio;

/// <summary>
/// A virtio device without its transport. It owns host resources (a file, a TAP) for its whole life, and guest
/// resources only between <see cref="Activate"/> and <see cref="Reset"/>.
/// <para>Thread: <see cref="Gate"/> is the one lock between the vCPU threads, which come through the transport, the
/// event loop, and the API thread. Members marked "under Gate" are called with it held.</para>
/// <para>Errors: a guest's mistakes are statuses and counters. Only <see cref="Activate"/> may throw, and only for
/// the host's failures; the transport then asks the driver for a reset.</para>
/// </summary>
public abstract class VirtioDevice : IDisposable
{
    private IDeviceOwner? _owner;

    public abstract VirtioDeviceType Type { get; }

    /// <summary>What the user calls this device: the drive_id, the iface_id.</summary>
    public abstract string Id { get; }

    /// <summary>The feature bits the driver may choose from, <see cref="VirtioFeatures.Common"/> among them. Constant.</summary>
    public abstract ulong OfferedFeatures { get; }

    /// <summary>The largest size of each queue: powers of two, at most <see cref="Queues.Virtqueue.MaxSegments"/>. Constant.</summary>
    public abstract ReadOnlySpan<ushort> MaxQueueSizes { get; }

    /// <summary>What it counts.</summary>
    public abstract MetricGroup Metrics { get; }

    /// <summary>
    /// Whether another process serves the queues: the doorbells are then lent to it and the loop does not listen to
    /// them, and it raises the interrupts itself (<see cref="IVirtioInterrupt.QueueEvent"/>). Constant.
    /// </summary>
    public virtual bool HasRemoteQueues => false;

    /// <summary>Guards everything that the transport, the event loop and the API thread share of this device.</summary>
    public Lock Gate { get; } = new();

    /// <summary>Where rare warnings go (a full sentence each); null throws them away. Set before the guest runs.</summary>
    public Action<string>? Warning { get; set; }

    /// <summary>Fills <paramref name="destination"/> from the configuration space; what lies past its end is zero. Under Gate.</summary>
    public abstract void ReadConfig(uint offset, Span<byte> destination);

    /// <summary>Takes a driver's write to the configuration space; most devices have nothing there to write. Under Gate.</summary>
    public virtual void WriteConfig(uint offset, ReadOnlySpan<byte> source)
    {
    }

    /// <summary>
    /// The driver is ready. Under Gate, on a vCPU thread: must not block, but for a device with remote queues, whose
    /// other process has a deadline. The queues may already hold buffers.
    /// </summary>
    /// <exception cref="Linux.HearthException">The host cannot give what the device needs to run.</exception>
    public abstract void Activate(DeviceActivation activation);

    /// <summary>
    /// Back to the state before <see cref="Activate"/>: queues and interrupt are let go, and no completion of an
    /// earlier life may follow. Also called where the device was never active. Under Gate.
    /// </summary>
    public abstract void Reset();

    /// <summary>
    /// The queues are about to be saved: a device that pops chains ahead of its work puts them back, and takes them
    /// again later. Under Gate.
    /// </summary>
    public virtual void OnSaving()
    {
    }

    /// <summary>The driver rang the bell of a queue, or the device rang it itself. Under Gate, on the event loop.</summary>
    public abstract void OnQueueNotified(int queueIndex);

    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    internal void Attach(IDeviceOwner owner)
    {
        if (_owner is not null)
        {
            throw new InvalidOperationException($"Device {Id} already has a transport.");
        }

        _owner = owner;
    }

    /// <summary>Frees the host's resources. After the event loop and the vCPUs have ended, or on removal.</summary>
    protected virtual void Dispose(bool disposing)
    {
    }

    /// <summary>The configuration space changed: new generation, and an interrupt if a driver is there. Under Gate.</summary>
    protected void NotifyConfigChanged() => _owner?.OnConfigChanged();

    /// <summary>The device cannot go on until its driver resets it (DEVICE_NEEDS_RESET). Under Gate.</summary>
    protected void NotifyNeedsReset() => _owner?.OnNeedsReset();
}
