using System.Runtime.InteropServices;
using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>
/// Machine code in a page of its own, for signal handlers, in which managed code must not run. Never unmapped: a signal that
/// came in before its disposition was changed may still run there. Decisions 7 and 20.
/// </summary>
internal static unsafe class NativeCode
{
    private const ulong PageBytes = 4096;

    /// <summary>Puts position-independent x86-64 code, with what constants follow it, where it can be run.</summary>
    /// <returns>Its address; 0 on another processor, or where the host forbids new code (SELinux execmem).</returns>
    public static nint Map(ReadOnlySpan<byte> code)
    {
        if (RuntimeInformation.ProcessArchitecture != Architecture.X64)
        {
            return 0;
        }

        MemoryMapping page = MemoryMapping.Anonymous(PageBytes);
        // SAFETY: the page is this method's own until it gives the address away; the span's copy is checked against its length.
        code.CopyTo(new Span<byte>(page.Address, (int)PageBytes));
        return SysMman.mprotect(page.Address, (nuint)PageBytes, SysMman.PROT_READ | SysMman.PROT_EXEC) == 0 ? page.AddressValue : 0;
    }
}
