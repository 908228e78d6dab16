using Hearth.Linux;

namespace Hearth.Virtio;

/// <summary>How a device wakes its driver; the transport's side of it. Thread: any. Never blocks.</summary>
public interface IVirtioInterrupt
{
    /// <summary>Tells the driver that queue <paramref name="index"/> has used buffers (virtio 1.2 §2.3).</summary>
    void SignalQueue(int index);

    /// <summary>Tells the driver to look at the configuration space and the status again.</summary>
    void SignalConfigChange();

    /// <summary>
    /// For a device with <see cref="VirtioDevice.HasRemoteQueues"/>: what the other process writes instead of our
    /// <see cref="SignalQueue"/>. Null where this transport's line cannot be lent.
    /// </summary>
    EventFd? QueueEvent(int index);
}
