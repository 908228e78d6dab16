namespace Hearth.Virtio;

/// <summary>How a device wakes its driver; the transport's side of it. Thread: any. Never blocks.</summary>
public interface IVirtioInterrupt
{
    /// <summary>Tells the driver that queue <paramref name="index"/> has used buffers (virtio 1.2 §2.3).</summary>
    void SignalQueue(int index);

    /// <summary>Tells the driver to look at the configuration space and the status again.</summary>
    void SignalConfigChange();
}
