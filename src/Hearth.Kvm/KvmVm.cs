using Hearth.Kvm.Native;
using Hearth.Linux;
using Hearth.Linux.Native;

namespace Hearth.Kvm;

/// <summary>
/// One VM: its memory slots, interrupt controllers, eventfds and vCPUs. Thread: any; KVM serialises.
/// </summary>
public sealed unsafe class KvmVm : IDisposable
{
    private readonly FileDescriptor _fd;
    private readonly int _vcpuMmapSize;

    internal KvmVm(FileDescriptor fd, int vcpuMmapSize)
    {
        _fd = fd;
        _vcpuMmapSize = vcpuMmapSize;
    }

    /// <summary>Shows <paramref name="sizeBytes"/> of this process's memory at a guest-physical address. KVM api.rst 4.35.</summary>
    public void SetUserMemoryRegion(uint slot, ulong guestAddress, ulong sizeBytes, nint hostAddress, bool logDirtyPages = false)
    {
        var region = new kvm_userspace_memory_region
        {
            slot = slot,
            flags = logDirtyPages ? KvmConstants.KVM_MEM_LOG_DIRTY_PAGES : 0,
            guest_phys_addr = guestAddress,
            memory_size = sizeBytes,
            userspace_addr = (ulong)hostAddress,
        };
        Ioctl("KVM_SET_USER_MEMORY_REGION", KvmIoctls.KVM_SET_USER_MEMORY_REGION, (nint)(&region), $"slot {slot}, {sizeBytes} bytes at 0x{guestAddress:x}");
    }

    /// <summary>Where Intel's real-mode task state lives: three pages nobody else uses. KVM api.rst 4.36.</summary>
    public void SetTssAddress(ulong address) =>
        Ioctl("KVM_SET_TSS_ADDR", KvmIoctls.KVM_SET_TSS_ADDR, (nint)address, $"0x{address:x}");

    /// <summary>Where Intel's identity page lives: one page nobody else uses. KVM api.rst 4.41.</summary>
    public void SetIdentityMapAddress(ulong address) =>
        Ioctl("KVM_SET_IDENTITY_MAP_ADDR", KvmIoctls.KVM_SET_IDENTITY_MAP_ADDR, (nint)(&address), $"0x{address:x}");

    /// <summary>Puts two PICs, an IOAPIC and, with each later vCPU, a local APIC in the kernel. KVM api.rst 4.24.</summary>
    public void CreateIrqChip() => Ioctl("KVM_CREATE_IRQCHIP", KvmIoctls.KVM_CREATE_IRQCHIP, 0, string.Empty);

    /// <summary>Puts an i8254 timer in the kernel, with port 0x61 answered too. KVM api.rst 4.71.</summary>
    public void CreatePit2()
    {
        var config = new kvm_pit_config { flags = KvmConstants.KVM_PIT_SPEAKER_DUMMY };
        Ioctl("KVM_CREATE_PIT2", KvmIoctls.KVM_CREATE_PIT2, (nint)(&config), string.Empty);
    }

    /// <summary>From now on, a signal on <paramref name="eventFd"/> is an edge on <paramref name="gsi"/>. KVM api.rst 4.75.</summary>
    public void RegisterIrqFd(EventFd eventFd, uint gsi)
    {
        var irqfd = new kvm_irqfd { fd = (uint)eventFd.Number, gsi = gsi };
        Ioctl("KVM_IRQFD", KvmIoctls.KVM_IRQFD, (nint)(&irqfd), $"GSI {gsi}");
    }

    /// <summary>Undoes <see cref="RegisterIrqFd"/>.</summary>
    public void UnregisterIrqFd(EventFd eventFd, uint gsi)
    {
        var irqfd = new kvm_irqfd { fd = (uint)eventFd.Number, gsi = gsi, flags = KvmConstants.KVM_IRQFD_FLAG_DEASSIGN };
        Ioctl("KVM_IRQFD", KvmIoctls.KVM_IRQFD, (nint)(&irqfd), $"GSI {gsi}, deassign");
    }

    /// <summary>
    /// From now on, a guest's 4-byte write of <paramref name="value"/> to <paramref name="address"/> signals
    /// <paramref name="eventFd"/> without leaving the kernel. KVM api.rst 4.59.
    /// </summary>
    public void RegisterIoEventFd(EventFd eventFd, ulong address, uint value) => IoEventFd(eventFd, address, value, 0);

    /// <summary>Undoes <see cref="RegisterIoEventFd"/>.</summary>
    public void UnregisterIoEventFd(EventFd eventFd, ulong address, uint value) =>
        IoEventFd(eventFd, address, value, KvmConstants.KVM_IOEVENTFD_FLAG_DEASSIGN);

    /// <summary>Adds vCPU <paramref name="id"/> (from 0: also its APIC id). KVM api.rst 4.7.</summary>
    public KvmVcpu CreateVcpu(int id)
    {
        int fd = Fcntl.ioctl(_fd.Number, KvmIoctls.KVM_CREATE_VCPU, id);
        if (fd < 0)
        {
            KvmException.ThrowLast("KVM_CREATE_VCPU", $"vCPU {id}", "Does this host allow so many vCPUs?");
        }

        return new KvmVcpu(id, new FileDescriptor(fd), _vcpuMmapSize);
    }

    public void Dispose() => _fd.Dispose();

    private void IoEventFd(EventFd eventFd, ulong address, uint value, uint flags)
    {
        var ioeventfd = new kvm_ioeventfd
        {
            datamatch = value,
            addr = address,
            len = sizeof(uint),
            fd = eventFd.Number,
            flags = KvmConstants.KVM_IOEVENTFD_FLAG_DATAMATCH | flags,
        };
        Ioctl("KVM_IOEVENTFD", KvmIoctls.KVM_IOEVENTFD, (nint)(&ioeventfd), $"0x{address:x} = {value}");
    }

    // SAFETY: where `argument` is a pointer, it is to a local of the caller, of the request's own structure (asserted in
    // Hearth.Abi.Tests), which outlives the call; KVM keeps none.
    private void Ioctl(string name, uint request, nint argument, string what)
    {
        if (Fcntl.ioctl(_fd.Number, request, argument) < 0)
        {
            KvmException.ThrowLast(name, what);
        }
    }
}
