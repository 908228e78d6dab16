using Hearth.Kvm.Native;

namespace Hearth.Vmm.Cpu;

/// <summary>The model-specific registers a vCPU starts with. Source: Intel SDM vol. 4; AMD APM vol. 2 appendix A.</summary>
public static class BootMsrs
{
    private const uint SysenterCs = 0x174;
    private const uint SysenterEsp = 0x175;
    private const uint SysenterEip = 0x176;
    private const uint MiscEnable = 0x1a0;
    private const uint MtrrDefaultType = 0x2ff;
    private const uint Tsc = 0x10;
    private const uint Star = 0xc000_0081;
    private const uint Lstar = 0xc000_0082;
    private const uint Cstar = 0xc000_0083;
    private const uint SyscallMask = 0xc000_0084;
    private const uint KernelGsBase = 0xc000_0102;

    private const ulong FastStrings = 1;

    // Memory is write-back unless a page table says otherwise; without this all of it is uncached.
    private const ulong MtrrEnabledWriteBack = (1 << 11) | 6;

    public static kvm_msr_entry[] Values { get; } =
    [
        Entry(SysenterCs, 0),
        Entry(SysenterEsp, 0),
        Entry(SysenterEip, 0),
        Entry(Star, 0),
        Entry(Cstar, 0),
        Entry(KernelGsBase, 0),
        Entry(SyscallMask, 0),
        Entry(Lstar, 0),
        Entry(Tsc, 0),
        Entry(MiscEnable, FastStrings),
        Entry(MtrrDefaultType, MtrrEnabledWriteBack),
    ];

    private static kvm_msr_entry Entry(uint index, ulong data) => new() { index = index, data = data };
}
