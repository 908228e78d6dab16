using Hearth.Kvm;
using Hearth.Linux;
using Hearth.Platform.Bus;
using Hearth.Vmm.Telemetry.Metrics;

namespace Hearth.Vmm.Vcpus;

/// <summary>
/// One vCPU on its own thread: enters the guest, hands its exits to the buses, pauses, resumes and stops.
/// <para>A vCPU is born paused. What changes its state is a request: the flag is written first, then
/// <c>immediate_exit</c>, then the kick, so that a thread just outside KVM_RUN, inside it, or on its way in sees it.
/// The flag is only looked at after KVM_RUN was interrupted, when no I/O of the guest is half done.</para>
/// <para>Thread: public members on the control thread; the loop allocates nothing.</para>
/// </summary>
public sealed class VcpuThread : IDisposable
{
    // The loop needs little; a guest with 32 vCPUs should not cost 256 MiB of address space.
    private const int StackBytes = 256 * 1024;

    // Guards _request, _state. Waited on with Monitor, so not a System.Threading.Lock.
    private readonly object _gate = new();
    private readonly KvmVcpu _vcpu;
    private readonly AddressBus _ports;
    private readonly AddressBus _mmio;
    private readonly IVcpuOwner _owner;
    private readonly VcpuMetrics _metrics;
    private readonly Action _enterSandbox;
    private readonly Thread _thread;
    private volatile int _threadId;
    private Request _request = Request.Pause;
    private State _state = State.Running;

    /// <param name="vcpu">Set up and ready to run; owned by this object.</param>
    /// <param name="ports">The guest's I/O ports.</param>
    /// <param name="mmio">The guest's memory-mapped devices.</param>
    /// <param name="owner">Hears when the guest is over.</param>
    /// <param name="metrics">Counts the exits; shared by all vCPUs.</param>
    /// <param name="enterSandbox">Called on the thread before the guest's first instruction.</param>
    public VcpuThread(KvmVcpu vcpu, AddressBus ports, AddressBus mmio, IVcpuOwner owner, VcpuMetrics metrics, Action? enterSandbox = null)
    {
        _vcpu = vcpu;
        _ports = ports;
        _mmio = mmio;
        _owner = owner;
        _metrics = metrics;
        _enterSandbox = enterSandbox ?? (static () => { });
        _thread = new Thread(Loop, StackBytes) { Name = $"vcpu{vcpu.Id}", IsBackground = true };
        ThreadKick.Install();
    }

    private enum Request
    {
        Run,
        Pause,
        Stop,
    }

    private enum State
    {
        Running,
        Paused,
        Stopped,
    }

    /// <summary>Starts the thread; returns once the vCPU is paused and ready.</summary>
    public void Start()
    {
        _thread.Start();
        AwaitState(State.Paused);
    }

    /// <summary>Asks for a pause; <see cref="AwaitPaused"/> waits for it.</summary>
    public void RequestPause() => Ask(Request.Pause);

    /// <summary>Returns once the vCPU is out of the guest with no I/O half done, or has stopped.</summary>
    public void AwaitPaused() => AwaitState(State.Paused);

    /// <summary>Lets a paused vCPU run.</summary>
    public void Resume()
    {
        lock (_gate)
        {
            if (_request == Request.Pause)
            {
                _request = Request.Run;
                Monitor.PulseAll(_gate);
            }
        }
    }

    /// <summary>Asks the thread to end.</summary>
    public void RequestStop() => Ask(Request.Stop);

    /// <summary>Ends the thread, then frees the vCPU.</summary>
    public void Dispose()
    {
        if (_thread.IsAlive)
        {
            RequestStop();
            _thread.Join();
        }

        _vcpu.Dispose();
    }

    private void Ask(Request request)
    {
        lock (_gate)
        {
            if (_state == State.Stopped)
            {
                return;
            }

            _request = request;
            Monitor.PulseAll(_gate);
            if (_state == State.Running && _threadId != 0)
            {
                _vcpu.RequestImmediateExit();
                ThreadKick.Send(_threadId);
            }
        }
    }

    private void AwaitState(State wanted)
    {
        lock (_gate)
        {
            while (_state != wanted && _state != State.Stopped)
            {
                Monitor.Wait(_gate);
            }
        }
    }

    private void Loop()
    {
        _threadId = ThreadKick.CurrentThreadId;
        try
        {
            bool obeyed = ObeyRequest();
            if (obeyed)
            {
                _enterSandbox();
            }

            while (obeyed && RunUntilInterrupted())
            {
                obeyed = ObeyRequest();
            }
        }
        catch (HearthException e)
        {
            _owner.OnMachineExit(MachineExit.HostFailure, $"vCPU {_vcpu.Id}: {e.Message}");
        }
        finally
        {
            lock (_gate)
            {
                _state = State.Stopped;
                Monitor.PulseAll(_gate);
            }
        }
    }

    // Waits out a pause. False: the thread is to end.
    private bool ObeyRequest()
    {
        _vcpu.ClearImmediateExit();
        lock (_gate)
        {
            bool paused = false;
            while (_request == Request.Pause)
            {
                paused = true;
                _state = State.Paused;
                Monitor.PulseAll(_gate);
                Monitor.Wait(_gate);
            }

            _state = State.Running;
            if (paused && _request == Request.Run)
            {
                _vcpu.NotifyPaused();
            }

            return _request != Request.Stop;
        }
    }

    // False: the guest is over and this vCPU will never run again.
    private bool RunUntilInterrupted()
    {
        while (true)
        {
            VcpuExit exit = _vcpu.Run();
            switch (exit)
            {
                case VcpuExit.Port:
                    HandlePort(_vcpu.PortAccess);
                    break;
                case VcpuExit.Mmio:
                    HandleMmio(_vcpu.MmioAccess);
                    break;
                case VcpuExit.Interrupted:
                    return true;
                case VcpuExit.Halt:
                    _owner.OnMachineExit(MachineExit.GuestStopped, "the guest halted with interrupts off");
                    return false;
                case VcpuExit.Shutdown:
                    _owner.OnMachineExit(MachineExit.GuestStopped, "the guest reset itself (triple fault)");
                    return false;
                case VcpuExit.SystemEvent:
                    _owner.OnMachineExit(MachineExit.GuestStopped, "the guest asked for a shutdown or reset");
                    return false;
                default:
                    _metrics.Failures.Increment();
                    _owner.OnMachineExit(MachineExit.HostFailure, $"vCPU {_vcpu.Id}: {_vcpu.DescribeFailure(exit)}");
                    return false;
            }
        }
    }

    private void HandlePort(PortAccess access)
    {
        (access.IsWrite ? _metrics.ExitIoOut : _metrics.ExitIoIn).Increment();
        // One item for plain instructions; string instructions bring several for the same port.
        for (int done = 0; done < access.Data.Length; done += access.Size)
        {
            Span<byte> item = access.Data.Slice(done, access.Size);
            bool claimed = access.IsWrite ? _ports.Write(access.Port, item) : _ports.Read(access.Port, item);
            if (!claimed)
            {
                _owner.OnUnclaimedAccess(access.Port, isPort: true, access.IsWrite);
            }
        }
    }

    private void HandleMmio(MmioAccess access)
    {
        (access.IsWrite ? _metrics.ExitMmioWrite : _metrics.ExitMmioRead).Increment();
        bool claimed = access.IsWrite ? _mmio.Write(access.Address, access.Data) : _mmio.Read(access.Address, access.Data);
        if (!claimed)
        {
            _owner.OnUnclaimedAccess(access.Address, isPort: false, access.IsWrite);
        }
    }
}
