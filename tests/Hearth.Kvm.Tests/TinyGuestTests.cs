using Hearth.Kvm.Native;
using Hearth.Linux;

namespace Hearth.Kvm.Tests;

/// <summary>
/// Real-mode guests of a few instructions, so that they end quickly even where KVM interprets them.
/// </summary>
public sealed class TinyGuestTests : IDisposable
{
    private const ulong CodeAddress = 0x1000;
    private const ulong MemorySize = 0x10000;

    private readonly KvmSystem _kvm;
    private readonly KvmVm _vm;
    private readonly MemoryMapping _memory;

    public TinyGuestTests()
    {
        Assert.SkipUnless(File.Exists("/dev/kvm"), "no /dev/kvm on this machine");
        _kvm = KvmSystem.Open();
        _vm = _kvm.CreateVm();
        _memory = MemoryMapping.Anonymous(MemorySize);
        _vm.SetTssAddress(0xfffbd000);
        _vm.SetIdentityMapAddress(0xfffbc000);
        _vm.CreateIrqChip();
        _vm.SetUserMemoryRegion(0, 0, MemorySize, _memory.AddressValue);
    }

    public void Dispose()
    {
        _vm?.Dispose();
        _kvm?.Dispose();
        _memory?.Dispose();
        GC.SuppressFinalize(this);
    }

    [Fact]
    public void Port_writes_and_reads_come_out_and_go_in()
    {
        // mov dx,0x3f8; mov al,'H'; out dx,al; in al,dx; mov dx,0x3f9; out dx,al; hlt
        using KvmVcpu vcpu = Load([0xba, 0xf8, 0x03, 0xb0, 0x48, 0xee, 0xec, 0xba, 0xf9, 0x03, 0xee, 0xf4]);
        Assert.Equal(VcpuExit.Port, vcpu.Run());
        PortAccess first = vcpu.PortAccess;
        Assert.Equal((0x3f8, true, 1), (first.Port, first.IsWrite, first.Size));
        Assert.Equal((byte)'H', first.Data[0]);

        Assert.Equal(VcpuExit.Port, vcpu.Run());
        PortAccess second = vcpu.PortAccess;
        Assert.False(second.IsWrite);
        second.Data[0] = 0x5a;

        Assert.Equal(VcpuExit.Port, vcpu.Run());
        PortAccess third = vcpu.PortAccess;
        Assert.Equal(0x3f9, third.Port);
        Assert.Equal(0x5a, third.Data[0]);
    }

    [Fact]
    public void A_write_where_no_memory_is_comes_out_as_mmio()
    {
        // mov ax,0x2000; mov ds,ax; mov word [0x10],0x1234; mov al,[0x10]; mov dx,1; out dx,al
        using KvmVcpu vcpu = Load([0xb8, 0x00, 0x20, 0x8e, 0xd8, 0xc7, 0x06, 0x10, 0x00, 0x34, 0x12, 0xa0, 0x10, 0x00, 0xba, 0x01, 0x00, 0xee]);
        Assert.Equal(VcpuExit.Mmio, vcpu.Run());
        MmioAccess write = vcpu.MmioAccess;
        Assert.Equal(0x20010UL, write.Address);
        Assert.True(write.IsWrite);
        Assert.Equal([0x34, 0x12], write.Data.ToArray());

        Assert.Equal(VcpuExit.Mmio, vcpu.Run());
        MmioAccess read = vcpu.MmioAccess;
        Assert.False(read.IsWrite);
        read.Data[0] = 0x77;
        Assert.Equal(VcpuExit.Port, vcpu.Run());
        Assert.Equal(0x77, vcpu.PortAccess.Data[0]);
    }

    [Fact]
    public void An_ioeventfd_takes_its_write_without_an_exit()
    {
        using var bell = new EventFd();
        _vm.RegisterIoEventFd(bell, 0x20050, 3);
        // mov ax,0x2000; mov ds,ax; mov dword [0x50],3; mov dword [0x50],4
        using KvmVcpu vcpu = Load([
            0xb8, 0x00, 0x20, 0x8e, 0xd8,
            0x66, 0xc7, 0x06, 0x50, 0x00, 0x03, 0x00, 0x00, 0x00,
            0x66, 0xc7, 0x06, 0x50, 0x00, 0x04, 0x00, 0x00, 0x00]);
        Assert.Equal(VcpuExit.Mmio, vcpu.Run());
        Assert.Equal(4, vcpu.MmioAccess.Data[0]);
        Assert.True(bell.Drain());
        _vm.UnregisterIoEventFd(bell, 0x20050, 3);
    }

    [Fact]
    public void Registers_that_are_set_are_read_back()
    {
        using KvmVcpu vcpu = Load([0xf4]);
        kvm_regs regs = vcpu.GetRegs();
        regs.rax = 0x1234;
        regs.rsp = 0x800;
        vcpu.SetRegs(regs);
        Assert.Equal(regs, vcpu.GetRegs());
    }

    [Fact]
    public void An_immediate_exit_keeps_the_guest_out_until_it_is_cleared()
    {
        using KvmVcpu vcpu = Load([0xba, 0xf8, 0x03, 0xee]);
        vcpu.RequestImmediateExit();
        Assert.Equal(VcpuExit.Interrupted, vcpu.Run());
        vcpu.ClearImmediateExit();
        Assert.Equal(VcpuExit.Port, vcpu.Run());
    }

    [Fact]
    public void A_guest_that_spins_is_stopped_by_a_kick()
    {
        ThreadKick.Install();
        using KvmVcpu vcpu = Load([0xeb, 0xfe]);
        int threadId = 0;
        using var started = new ManualResetEventSlim();
        VcpuExit seen = VcpuExit.Unknown;
        var thread = new Thread(() =>
        {
            threadId = ThreadKick.CurrentThreadId;
            started.Set();
            seen = vcpu.Run();
        });
        thread.Start();
        Assert.True(started.Wait(TimeSpan.FromSeconds(30)));
        vcpu.RequestImmediateExit();
        ThreadKick.Send(threadId);
        Assert.True(thread.Join(TimeSpan.FromSeconds(30)));
        Assert.Equal(VcpuExit.Interrupted, seen);
    }

    [Fact]
    public void A_second_vcpu_with_the_same_id_is_refused_by_name()
    {
        using KvmVcpu first = _vm.CreateVcpu(0);
        KvmException e = Assert.Throws<KvmException>(() => _vm.CreateVcpu(0));
        Assert.Equal("KVM_CREATE_VCPU", e.Ioctl);
        Assert.Equal(Errno.EEXIST, e.Errno);
        Assert.Contains("vCPU 0", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_overlapping_memory_slot_is_refused_by_name()
    {
        KvmException e = Assert.Throws<KvmException>(() => _vm.SetUserMemoryRegion(1, 0x1000, 0x1000, _memory.AddressValue));
        Assert.Equal("KVM_SET_USER_MEMORY_REGION", e.Ioctl);
        Assert.Contains("slot 1, 4096 bytes at 0x1000", e.Message, StringComparison.Ordinal);
    }

    private unsafe KvmVcpu Load(ReadOnlySpan<byte> code)
    {
        code.CopyTo(new Span<byte>(_memory.Address + CodeAddress, code.Length));
        KvmVcpu vcpu = _vm.CreateVcpu(0);
        kvm_sregs sregs = vcpu.GetSregs();
        sregs.cs.@base = 0;
        sregs.cs.selector = 0;
        vcpu.SetSregs(sregs);
        vcpu.SetRegs(new kvm_regs { rip = CodeAddress, rflags = 2 });
        return vcpu;
    }
}
