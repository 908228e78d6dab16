using System.Buffers.Binary;
using Hearth.Kvm;
using Hearth.Kvm.Native;
using Hearth.Platform.Memory;
using Hearth.Vmm.Boot;
using Hearth.Vmm.Cpu;
using Hearth.Vmm.Tests.Boot;

namespace Hearth.Vmm.Tests.Cpu;

public class BootStateTests
{
    private const ulong MiB = 1 << 20;

    [Fact]
    public void The_64_bit_protocols_selectors_name_the_descriptors_that_it_fixes()
    {
        using var memory = GuestMemory.Create(16 * MiB);
        BootState.WriteTables(memory, BootProtocol.Linux64);
        kvm_sregs sregs = BootState.SpecialRegisters(default, BootProtocol.Linux64);
        Assert.Equal((0x10, 0x18), (sregs.cs.selector, sregs.ds.selector));
        Assert.Equal(0x00af_9b00_0000_ffffUL, Read(memory, sregs.gdt.@base + sregs.cs.selector));
        Assert.Equal(0x00cf_9300_0000_ffffUL, Read(memory, sregs.gdt.@base + sregs.ss.selector));
        Assert.Equal(0x0000_8b00_0000_0067UL, Read(memory, sregs.gdt.@base + sregs.tr.selector));
        Assert.Equal(sregs.tr.selector + 15, sregs.gdt.limit);
        Assert.Equal((0x8000_0011UL, 0x20UL, 0x500UL), (sregs.cr0, sregs.cr4, sregs.efer));
    }

    [Fact]
    public void The_page_tables_map_the_first_4_gib_onto_themselves()
    {
        using var memory = GuestMemory.Create(16 * MiB);
        BootState.WriteTables(memory, BootProtocol.Linux64);
        ulong cr3 = BootState.SpecialRegisters(default, BootProtocol.Linux64).cr3;
        foreach (ulong address in new[] { 0UL, 0x20_0000UL, 0x3fff_ffffUL, 0x4000_0000UL, 0xfee0_0000UL, 0xffff_ffffUL })
        {
            ulong pdpt = Read(memory, cr3 + ((address >> 39) & 511) * 8);
            ulong directory = Read(memory, (pdpt & ~0xfffUL) + ((address >> 30) & 511) * 8);
            ulong entry = Read(memory, (directory & ~0xfffUL) + ((address >> 21) & 511) * 8);
            Assert.Equal((3UL, 3UL, 0x83UL), (pdpt & 0xfff, directory & 0xfff, entry & 0xfff));
            Assert.Equal(address & ~0x1f_ffffUL, entry & ~0xfffUL);
        }
    }

    [Fact]
    public void Pvh_starts_in_32_bits_without_paging()
    {
        kvm_sregs sregs = BootState.SpecialRegisters(default, BootProtocol.Pvh);
        Assert.Equal((0x11UL, 0UL, 0UL), (sregs.cr0, sregs.cr4, sregs.efer));
        Assert.Equal((1, 0), (sregs.cs.db, sregs.cs.l));
        Assert.Equal(uint.MaxValue, sregs.ds.limit);
    }

    [Fact]
    public void The_local_lines_change_only_their_delivery_mode()
    {
        var lapic = default(kvm_lapic_state);
        Span<byte> registers = lapic.regs;
        BinaryPrimitives.WriteUInt32LittleEndian(registers[0x350..], 0x0001_0000);
        BinaryPrimitives.WriteUInt32LittleEndian(registers[0x360..], 0x0001_0300);
        BootState.SetLocalInterrupts(ref lapic);
        Assert.Equal(0x0001_0700u, BinaryPrimitives.ReadUInt32LittleEndian(registers[0x350..]));
        Assert.Equal(0x0001_0400u, BinaryPrimitives.ReadUInt32LittleEndian(registers[0x360..]));
    }

    /// <summary>The real thing: a vCPU of this host's KVM runs from a kernel's entry and finds its boot structure.</summary>
    [Theory]
    [InlineData(BootProtocol.Linux64, 0x5372_6448u)]
    [InlineData(BootProtocol.Pvh, 0x336e_c578u)]
    public void Kvm_enters_a_kernel_that_finds_what_it_is_told(BootProtocol protocol, uint expected)
    {
        Assert.SkipUnless(File.Exists("/dev/kvm"), "no /dev/kvm on this machine");
        byte[] code = protocol == BootProtocol.Linux64
            ? [0x8b, 0x86, 0x02, 0x02, 0x00, 0x00, 0x66, 0xba, 0x10, 0x00, 0xef, 0xf4] // mov eax,[rsi+0x202]; mov dx,0x10; out dx,eax; hlt
            : [0x8b, 0x03, 0x66, 0xba, 0x10, 0x00, 0xef, 0xf4]; // mov eax,[ebx]; mov dx,0x10; out dx,eax; hlt
        using var directory = new BootDirectory();
        using var memory = GuestMemory.Create(16 * MiB);
        byte[] image = KernelImages.Elf(code: code, pvhEntry: protocol == BootProtocol.Pvh ? KernelImages.ElfBase : null);
        LoadedKernel kernel = KernelLoader.LoadKernel(memory, directory.File(image));
        BootParameters.Write(memory, new BootInformation(kernel, null, [0], new GuestAddress(MemoryLayout.AcpiStart)));
        BootState.WriteTables(memory, kernel.Protocol);

        using KvmSystem kvm = KvmSystem.Open();
        using KvmVm vm = kvm.CreateVm();
        vm.SetIdentityMapAddress(MemoryLayout.IdentityMap);
        vm.SetTssAddress(MemoryLayout.TaskState);
        vm.CreateIrqChip();
        vm.SetUserMemoryRegion(0, 0, memory.Regions[0].LengthBytes, memory.Regions[0].Mapping.AddressValue);
        bool tscDeadline = kvm.CheckExtension(KvmCaps.KVM_CAP_TSC_DEADLINE_TIMER) > 0;
        using KvmVcpu vcpu = vm.CreateVcpu(0);
        BootState.Configure(vcpu, kernel, CpuidFilter.Apply(kvm.GetSupportedCpuid(), 0, 1, false, tscDeadline));
        VcpuExit exit = vcpu.Run();
        Assert.True(exit == VcpuExit.Port, vcpu.DescribeFailure(exit));
        Assert.Equal(0x10, vcpu.PortAccess.Port);
        Assert.Equal(expected, BinaryPrimitives.ReadUInt32LittleEndian(vcpu.PortAccess.Data));
    }

    [Fact]
    public void Kvm_resets_from_the_firmwares_entry()
    {
        Assert.SkipUnless(File.Exists("/dev/kvm"), "no /dev/kvm on this machine");
        using var memory = GuestMemory.Create(MiB);
        ResetVector.Write(memory);
        using KvmSystem kvm = KvmSystem.Open();
        using KvmVm vm = kvm.CreateVm();
        vm.SetIdentityMapAddress(MemoryLayout.IdentityMap);
        vm.SetTssAddress(MemoryLayout.TaskState);
        vm.CreateIrqChip();
        vm.SetUserMemoryRegion(0, 0, memory.Regions[0].LengthBytes, memory.Regions[0].Mapping.AddressValue);
        using KvmVcpu vcpu = vm.CreateVcpu(0);
        kvm_sregs sregs = vcpu.GetSregs();
        sregs.cs.selector = 0xf000;
        sregs.cs.@base = 0xf_0000;
        vcpu.SetSregs(sregs);
        vcpu.SetRegs(new kvm_regs { rip = 0xfff0, rflags = 2 });
        VcpuExit exit = vcpu.Run();
        Assert.True(exit == VcpuExit.Port, vcpu.DescribeFailure(exit));
        Assert.Equal((0x64, true, 0xfe), (vcpu.PortAccess.Port, vcpu.PortAccess.IsWrite, vcpu.PortAccess.Data[0]));
    }

    private static ulong Read(GuestMemory memory, ulong address)
    {
        Assert.True(memory.TryRead(new GuestAddress(address), out ulong value));
        return value;
    }
}
