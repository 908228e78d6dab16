using System.Buffers.Binary;
using Hearth.Kvm;
using Hearth.Kvm.Native;
using Hearth.Platform.Memory;
using Hearth.Vmm.Boot;

namespace Hearth.Vmm.Cpu;

/// <summary>
/// The state a vCPU enters the kernel with: segments, control registers, page tables, general registers, local APIC.
/// Source: Linux Documentation/arch/x86/boot.rst "64-bit Boot Protocol"; Xen docs/misc/pvh.pandoc.
/// </summary>
public static class BootState
{
    private const ulong Cr0ProtectionEnable = 1;
    private const ulong Cr0ExtensionType = 1 << 4;
    private const ulong Cr0Paging = 1UL << 31;
    private const ulong Cr4PhysicalAddressExtension = 1 << 5;
    private const ulong EferLongModeEnable = 1 << 8;
    private const ulong EferLongModeActive = 1 << 10;
    private const ulong FlagsReserved = 2;
    private const ulong PagePresentWritable = 3;
    private const ulong PageLarge = 1 << 7;
    private const int IdentityMappedGib = 4;

    // __BOOT_CS and __BOOT_DS, which the boot protocol fixes. A 64-bit task state takes two entries.
    private const ushort CodeSelector = 0x10;
    private const ushort DataSelector = 0x18;
    private const ushort TaskSelector = 0x20;
    private const int GdtBytes = TaskSelector + 16;

    /// <summary>Writes the tables that every vCPU's registers point to.</summary>
    public static void WriteTables(GuestMemory memory, BootProtocol protocol)
    {
        bool longMode = protocol == BootProtocol.Linux64;
        Span<kvm_segment> segments = [Code(longMode), Data(), Task()];
        Span<byte> gdt = stackalloc byte[GdtBytes];
        gdt.Clear();
        foreach (kvm_segment segment in segments)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(gdt[segment.selector..], Descriptor(segment));
        }

        memory.Write(new GuestAddress(MemoryLayout.Gdt), gdt);
        memory.Write(new GuestAddress(MemoryLayout.Idt), 0UL);
        if (longMode)
        {
            WritePageTables(memory);
        }
    }

    /// <summary>Sets up one vCPU. Secondary vCPUs get the same segments and wait for the guest's INIT and SIPI.</summary>
    public static void Configure(KvmVcpu vcpu, LoadedKernel kernel, ReadOnlySpan<kvm_cpuid_entry2> cpuid)
    {
        vcpu.SetCpuid(cpuid);
        vcpu.SetMsrs(BootMsrs.Values);
        vcpu.SetSregs(SpecialRegisters(vcpu.GetSregs(), kernel.Protocol));
        vcpu.SetRegs(GeneralRegisters(kernel));
        // The values FNINIT and a power-up leave behind.
        vcpu.SetFpu(new kvm_fpu { fcw = 0x37f, mxcsr = 0x1f80 });
        kvm_lapic_state lapic = vcpu.GetLapic();
        SetLocalInterrupts(ref lapic);
        vcpu.SetLapic(lapic);
    }

    internal static kvm_regs GeneralRegisters(LoadedKernel kernel) => kernel.Protocol switch
    {
        BootProtocol.Linux64 => new kvm_regs
        {
            rip = kernel.EntryPoint.Value,
            rsp = MemoryLayout.BootStack,
            rbp = MemoryLayout.BootStack,
            rsi = MemoryLayout.ZeroPage,
            rflags = FlagsReserved,
        },
        BootProtocol.Pvh => new kvm_regs
        {
            rip = kernel.EntryPoint.Value,
            rbx = MemoryLayout.PvhStartInfo,
            rflags = FlagsReserved,
        },
        _ => throw new ArgumentOutOfRangeException(nameof(kernel)),
    };

    /// <summary>What the protocol says nothing of (the local APIC's base, say) stays as in <paramref name="reset"/>.</summary>
    internal static kvm_sregs SpecialRegisters(in kvm_sregs reset, BootProtocol protocol)
    {
        bool longMode = protocol == BootProtocol.Linux64;
        kvm_sregs sregs = reset;
        sregs.gdt.@base = MemoryLayout.Gdt;
        sregs.gdt.limit = GdtBytes - 1;
        sregs.idt.@base = MemoryLayout.Idt;
        sregs.idt.limit = 7;
        sregs.cs = Code(longMode);
        kvm_segment data = Data();
        sregs.ds = data;
        sregs.es = data;
        sregs.fs = data;
        sregs.gs = data;
        sregs.ss = data;
        sregs.tr = Task();
        sregs.cr0 = Cr0ProtectionEnable | Cr0ExtensionType;
        sregs.cr4 = 0;
        if (longMode)
        {
            sregs.cr0 |= Cr0Paging;
            sregs.cr3 = MemoryLayout.Pml4;
            sregs.cr4 = Cr4PhysicalAddressExtension;
            sregs.efer |= EferLongModeEnable | EferLongModeActive;
        }

        return sregs;
    }

    // The PIC's interrupts come through LINT0 as ExtINT, NMIs through LINT1, as the MP table says.
    internal static void SetLocalInterrupts(ref kvm_lapic_state lapic)
    {
        const int Lint0 = 0x350;
        const int Lint1 = 0x360;
        const uint DeliveryMask = 0x700;
        const uint ExternalInterrupt = 0x700;
        const uint NonMaskable = 0x400;
        Span<byte> registers = lapic.regs;
        Change(registers[Lint0..], ExternalInterrupt);
        Change(registers[Lint1..], NonMaskable);

        static void Change(Span<byte> register, uint mode) =>
            BinaryPrimitives.WriteUInt32LittleEndian(register, (BinaryPrimitives.ReadUInt32LittleEndian(register) & ~DeliveryMask) | mode);
    }

    // The first 4 GiB in 2 MiB pages: a kernel may look at any of its boot data before it has its own tables.
    private static void WritePageTables(GuestMemory memory)
    {
        memory.Write(new GuestAddress(MemoryLayout.Pml4), MemoryLayout.PageDirectoryPointers | PagePresentWritable);
        byte[] directory = new byte[4096];
        for (int gib = 0; gib < IdentityMappedGib; gib++)
        {
            ulong address = MemoryLayout.PageDirectories + ((ulong)gib * 4096);
            memory.Write(new GuestAddress(MemoryLayout.PageDirectoryPointers + ((ulong)gib * 8)), address | PagePresentWritable);
            for (int i = 0; i < 512; i++)
            {
                ulong page = ((ulong)gib << 30) + ((ulong)i << 21);
                BinaryPrimitives.WriteUInt64LittleEndian(directory.AsSpan(i * 8), page | PagePresentWritable | PageLarge);
            }

            memory.Write(new GuestAddress(address), directory);
        }
    }

    private static kvm_segment Code(bool longMode) => new()
    {
        selector = CodeSelector,
        limit = 0xffff_ffff,
        type = 0xb,
        present = 1,
        s = 1,
        g = 1,
        l = longMode ? (byte)1 : (byte)0,
        db = longMode ? (byte)0 : (byte)1,
    };

    private static kvm_segment Data() => new()
    {
        selector = DataSelector,
        limit = 0xffff_ffff,
        type = 0x3,
        present = 1,
        s = 1,
        g = 1,
        db = 1,
    };

    private static kvm_segment Task() => new()
    {
        selector = TaskSelector,
        limit = 0x67,
        type = 0xb,
        present = 1,
    };

    // Intel SDM vol. 3A §3.4.5: the descriptor that means the same as the hidden part of the register.
    private static ulong Descriptor(in kvm_segment segment)
    {
        ulong limit = segment.g != 0 ? segment.limit >> 12 : segment.limit;
        ulong access = segment.type | ((ulong)segment.s << 4) | ((ulong)segment.dpl << 5) | ((ulong)segment.present << 7);
        ulong flags = segment.avl | ((ulong)segment.l << 1) | ((ulong)segment.db << 2) | ((ulong)segment.g << 3);
        return (limit & 0xffff) | ((segment.@base & 0xff_ffff) << 16) | (access << 40)
            | ((limit & 0xf_0000) << 32) | (flags << 52) | ((segment.@base & 0xff00_0000) << 32);
    }
}
