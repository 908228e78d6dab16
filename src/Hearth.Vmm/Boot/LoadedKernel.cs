using Hearth.Platform.Memory;

namespace Hearth.Vmm.Boot;

/// <summary>How a kernel wants to be entered.</summary>
public enum BootProtocol
{
    /// <summary>The 64-bit Linux boot protocol: long mode, RSI points to the zero page. Linux Documentation/x86/boot.rst.</summary>
    Linux64,

    /// <summary>PVH: 32-bit protected mode without paging, EBX points to hvm_start_info. Xen docs/misc/pvh.pandoc.</summary>
    Pvh,
}

/// <summary>A kernel in guest memory.</summary>
/// <param name="Protocol">How to enter it.</param>
/// <param name="EntryPoint">The first instruction, guest-physical.</param>
/// <param name="End">One past the last byte it occupies, its uninitialised part included.</param>
/// <param name="SetupHeader">A bzImage's setup header from offset 0x1f1 on; empty for an ELF kernel.</param>
public sealed record LoadedKernel(BootProtocol Protocol, GuestAddress EntryPoint, GuestAddress End, ReadOnlyMemory<byte> SetupHeader);

/// <summary>An initrd in guest memory.</summary>
public readonly record struct LoadedInitrd(GuestAddress Address, ulong SizeBytes);
