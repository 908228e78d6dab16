using Hearth.Kvm.Native;
using Hearth.Linux;
using Hearth.Linux.Native;

namespace Hearth.Kvm;

/// <summary>
/// One vCPU: its registers, and <see cref="Run"/>.
/// <para>Thread: everything on the thread that runs it, except <see cref="RequestImmediateExit"/>, on any.</para>
/// </summary>
public sealed unsafe class KvmVcpu : IDisposable
{
    private readonly FileDescriptor _fd;
    private readonly MemoryMapping _runMapping;
    private readonly kvm_run* _run;

    internal KvmVcpu(int id, FileDescriptor fd, int mmapSize)
    {
        Id = id;
        _fd = fd;
        _runMapping = MemoryMapping.Shared(fd, 0, (ulong)mmapSize);
        _run = (kvm_run*)_runMapping.Address;
    }

    /// <summary>The vCPU's number from 0, which is its APIC id too.</summary>
    public int Id { get; }

    /// <summary>The port instruction behind <see cref="VcpuExit.Port"/>.</summary>
    public PortAccess PortAccess
    {
        get
        {
            ref readonly kvm_run_io io = ref _run->io;
            // SAFETY: KVM wrote offset, size and count into its own area; the bound is checked all the same.
            ulong length = (ulong)io.size * io.count;
            if (io.data_offset > _runMapping.LengthBytes || length > _runMapping.LengthBytes - io.data_offset)
            {
                throw new KvmException($"KVM_RUN gave a port exit whose {length} bytes lie outside the run area: this is a bug of the host kernel.");
            }

            var data = new Span<byte>((byte*)_run + io.data_offset, (int)length);
            return new PortAccess(io.port, io.direction == KvmConstants.KVM_EXIT_IO_OUT, io.size, data);
        }
    }

    /// <summary>The access behind <see cref="VcpuExit.Mmio"/>.</summary>
    public MmioAccess MmioAccess
    {
        get
        {
            // SAFETY: `data` is 8 bytes inside the mapped area, and len is capped to that.
            int length = (int)Math.Min(_run->mmio.len, 8);
            return new MmioAccess(_run->mmio.phys_addr, _run->mmio.is_write != 0, new Span<byte>(_run->mmio.data, length));
        }
    }

    /// <summary>The event behind <see cref="VcpuExit.SystemEvent"/>.</summary>
    public SystemEventType SystemEvent => (SystemEventType)_run->system_event.type;

    /// <summary>
    /// Runs the guest until it needs this process. Allocates nothing and blocks for as long as the guest likes.
    /// </summary>
    /// <exception cref="KvmException">KVM_RUN itself failed, which a correct machine never sees.</exception>
    public VcpuExit Run()
    {
        if (Fcntl.ioctl(_fd.Number, KvmIoctls.KVM_RUN, 0) == 0)
        {
            return (VcpuExit)_run->exit_reason;
        }

        if (LinuxException.LastErrno is Errno.EINTR or Errno.EAGAIN)
        {
            return VcpuExit.Interrupted;
        }

        KvmException.ThrowLast("KVM_RUN", $"vCPU {Id}");
        return default;
    }

    /// <summary>
    /// Makes the next <see cref="Run"/> return <see cref="VcpuExit.Interrupted"/> at once. One that is already inside
    /// the guest needs a <see cref="ThreadKick"/> as well. Thread: any.
    /// </summary>
    public void RequestImmediateExit() => Volatile.Write(ref _run->immediate_exit, 1);

    /// <summary>Takes back <see cref="RequestImmediateExit"/>; a full fence, so a request flag read after it is current.</summary>
    public void ClearImmediateExit()
    {
        Volatile.Write(ref _run->immediate_exit, 0);
        // Pairs with the requester's order: flag first, then immediate_exit. Without it the flag could be read early.
        Interlocked.MemoryBarrier();
    }

    /// <summary>Says what KVM knows about a <see cref="VcpuExit.FailEntry"/> or <see cref="VcpuExit.InternalError"/>.</summary>
    public string DescribeFailure(VcpuExit exit)
    {
        kvm_regs regs = GetRegs();
        string reason = exit switch
        {
            VcpuExit.FailEntry => $"hardware entry failure 0x{_run->fail_entry.hardware_entry_failure_reason:x}",
            VcpuExit.InternalError => $"KVM internal error, suberror {_run->@internal.suberror}",
            _ => $"exit reason {(uint)exit}",
        };
        return $"{reason}, rip 0x{regs.rip:x}, rsp 0x{regs.rsp:x}";
    }

    public kvm_regs GetRegs()
    {
        kvm_regs regs;
        Ioctl("KVM_GET_REGS", KvmIoctls.KVM_GET_REGS, (nint)(&regs));
        return regs;
    }

    public void SetRegs(in kvm_regs regs)
    {
        kvm_regs copy = regs;
        Ioctl("KVM_SET_REGS", KvmIoctls.KVM_SET_REGS, (nint)(&copy));
    }

    public kvm_sregs GetSregs()
    {
        kvm_sregs sregs;
        Ioctl("KVM_GET_SREGS", KvmIoctls.KVM_GET_SREGS, (nint)(&sregs));
        return sregs;
    }

    public void SetSregs(in kvm_sregs sregs)
    {
        kvm_sregs copy = sregs;
        Ioctl("KVM_SET_SREGS", KvmIoctls.KVM_SET_SREGS, (nint)(&copy));
    }

    public void SetFpu(in kvm_fpu fpu)
    {
        kvm_fpu copy = fpu;
        Ioctl("KVM_SET_FPU", KvmIoctls.KVM_SET_FPU, (nint)(&copy));
    }

    public kvm_lapic_state GetLapic()
    {
        kvm_lapic_state lapic;
        Ioctl("KVM_GET_LAPIC", KvmIoctls.KVM_GET_LAPIC, (nint)(&lapic));
        return lapic;
    }

    public void SetLapic(in kvm_lapic_state lapic)
    {
        kvm_lapic_state copy = lapic;
        Ioctl("KVM_SET_LAPIC", KvmIoctls.KVM_SET_LAPIC, (nint)(&copy));
    }

    /// <summary>Gives the guest its CPUID. KVM api.rst 4.72.</summary>
    public void SetCpuid(ReadOnlySpan<kvm_cpuid_entry2> entries)
    {
        byte[] buffer = new byte[8 + (entries.Length * sizeof(kvm_cpuid_entry2))];
        fixed (byte* p = buffer)
        {
            // SAFETY: the buffer holds the header and exactly `nent` entries, pinned for the call.
            *(uint*)p = (uint)entries.Length;
            entries.CopyTo(new Span<kvm_cpuid_entry2>(p + 8, entries.Length));
            Ioctl("KVM_SET_CPUID2", KvmIoctls.KVM_SET_CPUID2, (nint)p);
        }
    }

    /// <summary>Sets model-specific registers. KVM stops at the first one it refuses. KVM api.rst 4.19.</summary>
    /// <exception cref="KvmException">Names the register that KVM refused.</exception>
    public void SetMsrs(ReadOnlySpan<kvm_msr_entry> entries)
    {
        byte[] buffer = new byte[8 + (entries.Length * sizeof(kvm_msr_entry))];
        fixed (byte* p = buffer)
        {
            // SAFETY: the buffer holds the header and exactly `nmsrs` entries, pinned for the call.
            *(uint*)p = (uint)entries.Length;
            entries.CopyTo(new Span<kvm_msr_entry>(p + 8, entries.Length));
            int set = Fcntl.ioctl(_fd.Number, KvmIoctls.KVM_SET_MSRS, (nint)p);
            if (set < 0)
            {
                KvmException.ThrowLast("KVM_SET_MSRS", $"vCPU {Id}, {entries.Length} registers");
            }

            if (set < entries.Length)
            {
                throw new KvmException("KVM_SET_MSRS", $"vCPU {Id}, MSR 0x{entries[set].index:x}", Errno.EINVAL, "The host's KVM does not let a guest have this register.");
            }
        }
    }

    /// <summary>The vCPU's TSC frequency in kHz; 0 where KVM does not know it. KVM api.rst 4.56.</summary>
    public uint GetTscKhz()
    {
        int khz = Fcntl.ioctl(_fd.Number, KvmIoctls.KVM_GET_TSC_KHZ, 0);
        return khz < 0 ? 0 : (uint)khz;
    }

    /// <summary>
    /// Tells the guest's clock that it was paused, so that its watchdogs do not fire. A guest without kvmclock has
    /// nothing to tell. KVM api.rst 4.55.
    /// </summary>
    public void NotifyPaused() => _ = Fcntl.ioctl(_fd.Number, KvmIoctls.KVM_KVMCLOCK_CTRL, 0);

    public void Dispose()
    {
        _runMapping.Dispose();
        _fd.Dispose();
    }

    // The pointer in `argument` is to a local of the caller, which outlives the call.
    private void Ioctl(string name, uint request, nint argument)
    {
        if (Fcntl.ioctl(_fd.Number, request, argument) < 0)
        {
            KvmException.ThrowLast(name, $"vCPU {Id}");
        }
    }
}
