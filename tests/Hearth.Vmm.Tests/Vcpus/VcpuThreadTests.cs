using System.Collections.Concurrent;
using Hearth.Kvm;
using Hearth.Kvm.Native;
using Hearth.Linux;
using Hearth.Platform.Bus;
using Hearth.Vmm.Telemetry.Metrics;
using Hearth.Vmm.Vcpus;

namespace Hearth.Vmm.Tests.Vcpus;

public sealed class VcpuThreadTests : IDisposable
{
    private const ulong CodeAddress = 0x1000;
    private const ulong MemorySize = 0x10000;
    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(60);

    private readonly KvmSystem _kvm;
    private readonly KvmVm _vm;
    private readonly MemoryMapping _memory;
    private readonly AddressBus _ports = new();
    private readonly AddressBus _mmio = new();
    private readonly Owner _owner = new();
    private readonly VcpuMetrics _metrics = new();
    private readonly PortLog _log = new();

    public VcpuThreadTests()
    {
        Assert.SkipUnless(File.Exists("/dev/kvm"), "no /dev/kvm on this machine");
        _kvm = KvmSystem.Open();
        _vm = _kvm.CreateVm();
        _memory = MemoryMapping.Anonymous(MemorySize);
        _vm.SetTssAddress(0xfffbd000);
        _vm.SetIdentityMapAddress(0xfffbc000);
        _vm.CreateIrqChip();
        _vm.SetUserMemoryRegion(0, 0, MemorySize, _memory.AddressValue);
        _ports.Insert(0x10, 2, _log);
    }

    public void Dispose()
    {
        _vm?.Dispose();
        _kvm?.Dispose();
        _memory?.Dispose();
        GC.SuppressFinalize(this);
    }

    [Fact]
    public void A_new_vcpu_runs_nothing_until_it_is_resumed()
    {
        // out 0x10,al; jmp $
        using VcpuThread thread = Start([0xe6, 0x10, 0xeb, 0xfe]);
        thread.AwaitPaused();
        Assert.Empty(_log.Seen);
        thread.Resume();
        Assert.True(_log.Arrived.Wait(s_deadline));
    }

    [Fact]
    public void A_spinning_guest_pauses_and_goes_on_where_it_was()
    {
        // inc al; out 0x10,al; jmp -6: counts forever
        using VcpuThread thread = Start([0xfe, 0xc0, 0xe6, 0x10, 0xeb, 0xfa]);
        for (int round = 0; round < 20; round++)
        {
            _log.Arrived.Reset();
            thread.Resume();
            Assert.True(_log.Arrived.Wait(s_deadline));
            thread.RequestPause();
            thread.AwaitPaused();
            int count = _log.Seen.Count;
            Assert.Equal(count, _log.Seen.Count);
        }

        byte[] seen = [.. _log.Seen];
        for (int i = 0; i < seen.Length; i++)
        {
            Assert.Equal(unchecked((byte)(i + 1)), seen[i]);
        }
    }

    [Fact]
    public void A_string_instruction_delivers_every_byte_in_order()
    {
        // mov si,0x2000; mov dx,0x10; mov cx,5; rep outsb; jmp $
        unsafe
        {
            "hello"u8.CopyTo(new Span<byte>(_memory.Address + 0x2000, 5));
        }

        _log.Expected = 5;
        using VcpuThread thread = Start([0xbe, 0x00, 0x20, 0xba, 0x10, 0x00, 0xb9, 0x05, 0x00, 0xf3, 0x6e, 0xeb, 0xfe]);
        thread.Resume();
        Assert.True(_log.Arrived.Wait(s_deadline));
        Assert.Equal("hello"u8.ToArray(), _log.Seen.ToArray());
    }

    [Fact]
    public void A_port_nobody_owns_is_reported_and_the_guest_goes_on()
    {
        // in al,0x80; out 0x10,al; jmp $
        using VcpuThread thread = Start([0xe4, 0x80, 0xe6, 0x10, 0xeb, 0xfe]);
        thread.Resume();
        Assert.True(_log.Arrived.Wait(s_deadline));
        Assert.Equal([0xff], _log.Seen.ToArray());
        Assert.Contains((0x80UL, true, false), _owner.Unclaimed);
        Assert.InRange(_metrics.ExitIoIn.Value, 1, long.MaxValue);
    }

    [Fact]
    public void A_running_vcpu_stops_when_it_is_disposed()
    {
        VcpuThread thread = Start([0xeb, 0xfe]);
        thread.Resume();
        thread.Dispose();
        Assert.False(_owner.Exited.IsSet);
    }

    private unsafe VcpuThread Start(ReadOnlySpan<byte> code)
    {
        code.CopyTo(new Span<byte>(_memory.Address + CodeAddress, code.Length));
        KvmVcpu vcpu = _vm.CreateVcpu(0);
        kvm_sregs sregs = vcpu.GetSregs();
        sregs.cs.@base = 0;
        sregs.cs.selector = 0;
        vcpu.SetSregs(sregs);
        vcpu.SetRegs(new kvm_regs { rip = CodeAddress, rflags = 2 });
        var thread = new VcpuThread(vcpu, _ports, _mmio, _owner, _metrics);
        thread.Start();
        return thread;
    }

    private sealed class PortLog : IBusDevice
    {
        public ConcurrentQueue<byte> Seen { get; } = new();

        public ManualResetEventSlim Arrived { get; } = new();

        public int Expected { get; set; } = 1;

        public void Read(ulong offset, Span<byte> data) => data.Clear();

        public void Write(ulong offset, ReadOnlySpan<byte> data)
        {
            Seen.Enqueue(data[0]);
            if (Seen.Count >= Expected)
            {
                Arrived.Set();
            }
        }
    }

    private sealed class Owner : IVcpuOwner
    {
        public ManualResetEventSlim Exited { get; } = new();

        public MachineExit Exit { get; private set; }

        public ConcurrentBag<(ulong Address, bool IsPort, bool IsWrite)> Unclaimed { get; } = [];

        public void OnMachineExit(MachineExit exit, string reason)
        {
            Exit = exit;
            Exited.Set();
        }

        public void OnUnclaimedAccess(ulong address, bool isPort, bool isWrite) => Unclaimed.Add((address, isPort, isWrite));
    }
}
