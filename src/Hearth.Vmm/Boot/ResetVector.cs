using Hearth.Platform.Memory;

namespace Hearth.Vmm.Boot;

/// <summary>
/// What stands where a PC's firmware has its entry, 16 bytes below 1 MiB: code that resets by the i8042. Linux with EFI
/// support believes that a hardware-reduced machine resets by EFI and, finding none, jumps here unless its command line
/// has <c>reboot=k</c> (Linux arch/x86/kernel/reboot.c, BOOT_BIOS); without this it would run zeros for ever.
/// </summary>
public static class ResetVector
{
    // mov al, 0xfe; out 0x64, al; then hlt for ever.
    private static ReadOnlySpan<byte> Code => [0xb0, 0xfe, 0xe6, 0x64, 0xf4, 0xeb, 0xfd];

    public static void Write(GuestMemory memory) => memory.Write(new GuestAddress(MemoryLayout.ResetVector), Code);
}
