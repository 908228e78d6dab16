using Hearth.Kvm;
using Hearth.Linux;
using Hearth.Platform.Interrupts;

namespace Hearth.Vmm.Devices;

/// <summary>An edge-triggered line into the in-kernel interrupt controllers by irqfd: one write, no vCPU stopped.</summary>
public sealed class IrqFdLine : IInterruptLine, IDisposable
{
    private readonly EventFd _eventFd = new();

    public IrqFdLine(KvmVm vm, uint gsi)
    {
        Gsi = gsi;
        vm.RegisterIrqFd(_eventFd, gsi);
    }

    /// <summary>The global system interrupt: the IOAPIC pin.</summary>
    public uint Gsi { get; }

    public EventFd Event => _eventFd;

    public void Trigger() => _eventFd.Signal();

    public void Dispose() => _eventFd.Dispose();
}
