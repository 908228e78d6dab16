using Hearth.Linux;

namespace Hearth.Platform.Interrupts;

/// <summary>A device's edge-triggered interrupt into the guest (in the monitor: an irqfd). Thread: any.</summary>
public interface IInterruptLine
{
    /// <summary>Raises one edge. Never blocks.</summary>
    void Trigger();

    /// <summary>
    /// What another process writes to raise an edge, without this one taking part; null where the line cannot be
    /// lent. It stays the line's own.
    /// </summary>
    EventFd? Event => null;
}
