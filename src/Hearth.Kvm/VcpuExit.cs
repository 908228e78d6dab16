using Hearth.Kvm.Native;

namespace Hearth.Kvm;

/// <summary>Why a vCPU came back from the guest. Source: KVM api.rst §5.</summary>
public enum VcpuExit : uint
{
    Unknown = KvmConstants.KVM_EXIT_UNKNOWN,

    /// <summary>The guest used a port: <see cref="KvmVcpu.PortAccess"/>.</summary>
    Port = KvmConstants.KVM_EXIT_IO,

    /// <summary>The guest halted with nobody to wake it (only without an in-kernel APIC).</summary>
    Halt = KvmConstants.KVM_EXIT_HLT,

    /// <summary>The guest touched an address with no memory behind it: <see cref="KvmVcpu.MmioAccess"/>.</summary>
    Mmio = KvmConstants.KVM_EXIT_MMIO,

    /// <summary>A triple fault: the guest reset itself the hard way.</summary>
    Shutdown = KvmConstants.KVM_EXIT_SHUTDOWN,

    /// <summary>The CPU refused the guest's state: <see cref="KvmVcpu.DescribeFailure"/>.</summary>
    FailEntry = KvmConstants.KVM_EXIT_FAIL_ENTRY,

    /// <summary>KVM could not emulate an instruction: <see cref="KvmVcpu.DescribeFailure"/>.</summary>
    InternalError = KvmConstants.KVM_EXIT_INTERNAL_ERROR,

    /// <summary>Shutdown, reset or crash by a paravirtual call: <see cref="KvmVcpu.SystemEvent"/>.</summary>
    SystemEvent = KvmConstants.KVM_EXIT_SYSTEM_EVENT,

    /// <summary>KVM_RUN was interrupted (EINTR or EAGAIN) and the guest is as it was: look at the request flag, re-enter.</summary>
    Interrupted = uint.MaxValue,
}

/// <summary>What the guest asked for by a paravirtual system event.</summary>
public enum SystemEventType : uint
{
    Shutdown = KvmConstants.KVM_SYSTEM_EVENT_SHUTDOWN,
    Reset = KvmConstants.KVM_SYSTEM_EVENT_RESET,
    Crash = KvmConstants.KVM_SYSTEM_EVENT_CRASH,
}

/// <summary>
/// One port instruction, as a view of the shared run area: <c>Data</c> is <c>Count</c> items of <c>Size</c> bytes
/// (more than one for string instructions), to be filled for a read before the next run.
/// </summary>
public readonly ref struct PortAccess(ushort port, bool isWrite, int size, Span<byte> data)
{
    public ushort Port { get; } = port;

    public bool IsWrite { get; } = isWrite;

    /// <summary>1, 2 or 4 bytes.</summary>
    public int Size { get; } = size;

    public Span<byte> Data { get; } = data;
}

/// <summary>One MMIO access, as a view of the shared run area: 1 to 8 bytes, to be filled for a read before the next run.</summary>
public readonly ref struct MmioAccess(ulong address, bool isWrite, Span<byte> data)
{
    public ulong Address { get; } = address;

    public bool IsWrite { get; } = isWrite;

    public Span<byte> Data { get; } = data;
}
