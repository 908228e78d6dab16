namespace Hearth.Vmm.Boot;

/// <summary>
/// Where things are in guest-physical memory. Guests see these addresses in tables and structures that say them,
/// so they may change between versions; a snapshot's guest goes on using the old ones.
/// <code>
/// 0x0000_0500  GDT                            0x000e_0000  RSDP and the other ACPI tables
/// 0x0000_6000  PVH start info                 0x0010_0000  kernel
/// 0x0000_7000  zero page (boot_params)        0xc000_0000  the 32-bit MMIO gap: devices, IOAPIC, APICs
/// 0x0000_9000  page tables                    0xfffb_c000  Intel's identity page and task state
/// 0x0002_0000  command line                   0x1_0000_0000  RAM above the gap
/// 0x0009_fc00  MP table
/// </code>
/// </summary>
public static class MemoryLayout
{
    public const ulong Gdt = 0x500;
    public const ulong Idt = 0x540;
    public const ulong PvhStartInfo = 0x6000;
    public const ulong PvhModules = 0x6040;
    public const ulong PvhMemoryMap = 0x6080;
    public const ulong ZeroPage = 0x7000;
    public const ulong BootStack = 0x8ff0;
    public const ulong Pml4 = 0x9000;
    public const ulong PageDirectoryPointers = 0xa000;

    /// <summary>Four page directories, one a GiB.</summary>
    public const ulong PageDirectories = 0xb000;

    public const ulong CommandLine = 0x2_0000;

    /// <summary>The extended BIOS data area, where conventional memory ends; the MP table stands at its start.</summary>
    public const ulong EbdaStart = 0x9_fc00;

    /// <summary>Where operating systems look for the RSDP, after the EBDA. Ends at <see cref="ResetVector"/>.</summary>
    public const ulong AcpiStart = 0xe_0000;

    /// <summary>Where a PC resets to in real mode (f000:fff0).</summary>
    public const ulong ResetVector = 0xf_fff0;

    /// <summary>Where kernels load: one MiB.</summary>
    public const ulong HighMemory = 0x10_0000;

    /// <summary>One page for the boot timer, then a page for each virtio device.</summary>
    public const ulong BootTimerMmio = 0xc000_0000;

    public const ulong VirtioMmioStart = 0xc000_1000;
    public const uint FirstVirtioGsi = 5;
    public const uint LastVirtioGsi = 23;
    public const ulong IoApic = 0xfec0_0000;
    public const ulong LocalApic = 0xfee0_0000;
    public const ulong IdentityMap = 0xfffb_c000;
    public const ulong TaskState = 0xfffb_d000;

    public const ushort SerialPort = 0x3f8;
    public const uint SerialGsi = 4;
    public const uint KeyboardGsi = 1;
}
