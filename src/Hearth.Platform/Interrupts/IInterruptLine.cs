namespace Hearth.Platform.Interrupts;

/// <summary>A device's edge-triggered interrupt into the guest (in the monitor: an irqfd). Thread: any.</summary>
public interface IInterruptLine
{
    /// <summary>Raises one edge. Never blocks.</summary>
    void Trigger();
}
