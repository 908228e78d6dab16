using Hearth.Kvm;
using Hearth.Linux;
using Hearth.Platform.Bus;
using Hearth.Platform.Memory;
using Hearth.Vmm.Actions;
using Hearth.Vmm.Configuration;
using Hearth.Vmm.Devices;
using Hearth.Vmm.Sandbox;
using Hearth.Vmm.Telemetry.Metrics;
using Hearth.Vmm.Vcpus;

namespace Hearth.Vmm.Machines;

/// <summary>
/// A microVM: guest memory, interrupt controllers, vCPUs on their threads, devices on the event loop.
/// <para>Thread: the API thread, except <see cref="IVcpuOwner"/>, which vCPU threads call.</para>
/// </summary>
public sealed class Machine : IVirtualMachine, IVcpuOwner, IDisposable
{
    private const int LoopStackBytes = 512 * 1024;

    private readonly ProcessExit _exit;
    private readonly Action<string> _log;
    private readonly MonitorMetrics _metrics;
    private readonly List<VcpuThread> _vcpus = [];
    private readonly Thread _loopThread;
    private bool _ended;
    private bool _disposed;

    internal Machine(KvmVm vm, GuestMemory memory, ProcessExit exit, MonitorMetrics metrics, Action<string> log)
    {
        Vm = vm;
        Memory = memory;
        _exit = exit;
        _log = log;
        _metrics = metrics;
        Loop = new EventLoop();
        Devices = new MmioDevices(vm, memory, Mmio, Loop);
        _loopThread = new Thread(RunLoop, LoopStackBytes) { Name = "devices", IsBackground = true };
    }

    public VmState State { get; private set; } = VmState.Paused;

    internal KvmVm Vm { get; }

    internal GuestMemory Memory { get; }

    internal EventLoop Loop { get; }

    internal AddressBus Ports { get; } = new();

    internal AddressBus Mmio { get; } = new();

    internal MmioDevices Devices { get; }

    internal LegacyDevices? Legacy { get; set; }

    /// <summary>The seccomp filters; null for none.</summary>
    internal ThreadSandbox? Sandbox { get; init; }

    public void Pause()
    {
        if (State == VmState.Paused)
        {
            return;
        }

        // All are asked before any is waited for: the guest stops as nearly at once as threads can.
        foreach (VcpuThread vcpu in _vcpus)
        {
            vcpu.RequestPause();
        }

        foreach (VcpuThread vcpu in _vcpus)
        {
            vcpu.AwaitPaused();
        }

        State = VmState.Paused;
    }

    public void Resume()
    {
        foreach (VcpuThread vcpu in _vcpus)
        {
            vcpu.Resume();
        }

        State = VmState.Running;
    }

    public void SendCtrlAltDel()
    {
        if (Legacy is null || !Legacy.Keyboard.TriggerCtrlAltDel())
        {
            throw new HearthException("The guest has not read the keys that were typed before: does it have a keyboard driver (CONFIG_SERIO_I8042)?");
        }
    }

    public void UpdateDrive(string driveId, string? pathOnHost, RateLimiterConfig? rateLimiter) =>
        DeviceCatalog.UpdateDrive(Devices, driveId, pathOnHost, rateLimiter);

    public void UpdateNetworkInterface(string ifaceId, RateLimiterConfig? rxRateLimiter, RateLimiterConfig? txRateLimiter) =>
        DeviceCatalog.UpdateNetworkInterface(Devices, ifaceId, rxRateLimiter, txRateLimiter);

    /// <summary>Stops the guest and gives everything back. Output that the guest wrote is sent first.</summary>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        foreach (VcpuThread vcpu in _vcpus)
        {
            vcpu.RequestStop();
        }

        foreach (VcpuThread vcpu in _vcpus)
        {
            vcpu.Dispose();
        }

        Loop.Stop();
        if (_loopThread.IsAlive)
        {
            _loopThread.Join();
        }

        Devices.Dispose();
        Legacy?.Dispose();
        Loop.Dispose();
        Vm.Dispose();
        Memory.Dispose();
    }

    void IVcpuOwner.OnMachineExit(MachineExit exit, string reason)
    {
        // A resetting guest pulls every line it knows until its vCPU is stopped: the first counts.
        if (Interlocked.Exchange(ref _ended, true))
        {
            return;
        }

        _log($"The microVM stops: {reason}.");
        _exit.Request(exit == MachineExit.GuestStopped ? ExitCode.Ok : ExitCode.GenericError);
    }

    void IVcpuOwner.OnUnclaimedAccess(ulong address, bool isPort, bool isWrite) => _metrics.Hearth.UnclaimedAccesses.Increment();

    /// <summary>Adds a vCPU that is set up; <see cref="Start"/> starts it.</summary>
    internal void AddVcpu(KvmVcpu vcpu) => _vcpus.Add(new VcpuThread(vcpu, Ports, Mmio, this, _metrics.Vcpu, () => Sandbox?.Enter(ThreadKind.Vcpu)));

    /// <summary>Starts the event loop and the vCPUs, puts all threads under their filters, then lets the guest run.</summary>
    /// <param name="log">Where a forbidden system call is told.</param>
    internal void Start(FileDescriptor? log)
    {
        _loopThread.Start();
        foreach (VcpuThread vcpu in _vcpus)
        {
            vcpu.Start();
        }

        if (Sandbox is { } sandbox)
        {
            sandbox.EnterProcess(log);
            // The first thing that the loop does. A vCPU enters its own before its first instruction.
            Loop.Post(() => sandbox.Enter(ThreadKind.Devices));
            sandbox.Enter(ThreadKind.Api);
        }

        Resume();
    }

    private void RunLoop()
    {
        try
        {
            Loop.Run();
        }
        catch (HearthException e)
        {
            ((IVcpuOwner)this).OnMachineExit(MachineExit.HostFailure, $"the device loop failed: {e.Message}");
        }
    }
}
