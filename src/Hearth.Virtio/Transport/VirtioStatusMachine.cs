using Hearth.Linux;
using Hearth.Platform.Memory;
using Hearth.Virtio.Queues;

namespace Hearth.Virtio.Transport;

/// <summary>
/// A device's life as its driver steers it, the same over every transport: status bits, feature negotiation, queue
/// set-up, activation, reset (virtio 1.2 §2.1, §2.2, §3.1).
/// <para>The driver may write anything in any order. A step out of order is ignored and counted; a device that cannot
/// run as it was set up asks for a reset.</para>
/// <para>Thread: under the device's Gate, but for <see cref="Status"/> and <see cref="ConfigGeneration"/>, which any
/// thread may read.</para>
/// </summary>
public sealed class VirtioStatusMachine : IDeviceOwner
{
    private const DeviceStatus Known =
        DeviceStatus.Acknowledge | DeviceStatus.Driver | DeviceStatus.FeaturesOk | DeviceStatus.DriverOk | DeviceStatus.NeedsReset
        | DeviceStatus.Failed;

    private readonly VirtioDevice _device;
    private readonly GuestMemory _memory;
    private readonly IVirtioInterrupt _interrupt;
    private readonly EventLoop _loop;
    private readonly EventFd[] _notifiers;
    private readonly VirtqueueState[] _layouts;
    private Virtqueue[]? _active;
    private byte _status;
    private uint _configGeneration;
    private ulong _driverFeatures;
    private bool _configChangedBeforeDriverOk;

    internal VirtioStatusMachine(VirtioDevice device, GuestMemory memory, IVirtioInterrupt interrupt, EventLoop loop, EventFd[] notifiers)
    {
        _device = device;
        _memory = memory;
        _interrupt = interrupt;
        _loop = loop;
        _notifiers = notifiers;
        _layouts = new VirtqueueState[device.MaxQueueSizes.Length];
        foreach (ushort size in device.MaxQueueSizes)
        {
            if (size == 0 || size > Virtqueue.MaxSegments || (size & (size - 1)) != 0)
            {
                throw new ArgumentException($"Device {device.Id} asks for a queue of {size} descriptors.", nameof(device));
            }
        }

        ClearLayouts();
        device.Attach(this);
    }

    /// <summary>The status as the driver reads it.</summary>
    public DeviceStatus Status
    {
        get => (DeviceStatus)Volatile.Read(ref _status);
        private set => Volatile.Write(ref _status, (byte)value);
    }

    /// <summary>Changes whenever the configuration space does.</summary>
    public uint ConfigGeneration => Volatile.Read(ref _configGeneration);

    /// <summary>The device has queues and may be called about them.</summary>
    public bool IsRunning => _active is not null && (Status & (DeviceStatus.NeedsReset | DeviceStatus.Failed)) == 0;

    /// <summary>How many steps of the driver were out of order or made no sense.</summary>
    public long IgnoredSteps { get; private set; }

    public int QueueCount => _layouts.Length;

    /// <summary>Which half of the device's features the driver looks at (0: bits 0-31, 1: bits 32-63).</summary>
    public uint DeviceFeaturesSelect { get; set; }

    public uint DriverFeaturesSelect { get; set; }

    public uint QueueSelect { get; set; }

    /// <summary>The selected half of what the device offers; zero past the second.</summary>
    public uint DeviceFeatures => Half(_device.OfferedFeatures, DeviceFeaturesSelect);

    /// <summary>The selected half of what the driver acknowledged so far.</summary>
    public uint DriverFeatures => Half(_driverFeatures, DriverFeaturesSelect);

    /// <summary>Sets the selected half of the driver's features; only between DRIVER and FEATURES_OK.</summary>
    public void WriteDriverFeatures(uint value)
    {
        if (!Between(DeviceStatus.Driver, DeviceStatus.FeaturesOk) || DriverFeaturesSelect > 1)
        {
            IgnoredSteps++;
            return;
        }

        int shift = DriverFeaturesSelect == 0 ? 0 : 32;
        _driverFeatures = (_driverFeatures & ~((ulong)uint.MaxValue << shift)) | ((ulong)value << shift);
    }

    /// <summary>The selected queue's greatest size; 0 says there is no such queue.</summary>
    public ushort SelectedMaxSize => QueueSelect < (uint)_layouts.Length ? _device.MaxQueueSizes[(int)QueueSelect] : (ushort)0;

    /// <summary>The selected queue as the driver set it up so far; an empty one if there is no such queue.</summary>
    public VirtqueueState SelectedLayout => QueueSelect < (uint)_layouts.Length ? _layouts[QueueSelect] : new VirtqueueState();

    /// <summary>
    /// Changes the selected queue's layout; only between FEATURES_OK and DRIVER_OK. Whether it makes sense is looked
    /// at once, at DRIVER_OK.
    /// </summary>
    public void WriteLayout(Func<VirtqueueState, uint, VirtqueueState> change, uint value)
    {
        if (!Between(DeviceStatus.FeaturesOk, DeviceStatus.DriverOk) || QueueSelect >= (uint)_layouts.Length)
        {
            IgnoredSteps++;
            return;
        }

        _layouts[QueueSelect] = change(_layouts[QueueSelect], value);
    }

    /// <summary>Takes the driver's write to the status field: the steps it adds, or with 0 a reset.</summary>
    public void WriteStatus(uint value)
    {
        if (value == 0)
        {
            Reset();
            return;
        }

        // NEEDS_RESET is the device's to set: a driver that read it writes it back.
        DeviceStatus current = Status;
        var wanted = (DeviceStatus)(byte)value & ~DeviceStatus.NeedsReset;
        DeviceStatus kept = current & ~DeviceStatus.NeedsReset;
        DeviceStatus added = wanted & ~kept;
        // §2.1.1: the driver clears no bit; after FAILED or NEEDS_RESET nothing but a reset helps, and FAILED may be said.
        bool stuck = (current & (DeviceStatus.NeedsReset | DeviceStatus.Failed)) != 0;
        if (value > byte.MaxValue || (wanted & ~Known) != 0 || (wanted & kept) != kept || (stuck && (added & ~DeviceStatus.Failed) != 0))
        {
            IgnoredSteps++;
            return;
        }

        if ((added & DeviceStatus.Failed) != 0)
        {
            Status |= DeviceStatus.Failed;
            return;
        }

        Advance(added, DeviceStatus.Acknowledge, DeviceStatus.None);
        Advance(added, DeviceStatus.Driver, DeviceStatus.Acknowledge);
        if ((added & DeviceStatus.FeaturesOk) != 0 && FeaturesAreAcceptable())
        {
            Advance(added, DeviceStatus.FeaturesOk, DeviceStatus.Driver);
        }

        if ((added & DeviceStatus.DriverOk) != 0 && Advance(added, DeviceStatus.DriverOk, DeviceStatus.FeaturesOk))
        {
            Activate();
        }
    }

    void IDeviceOwner.OnConfigChanged()
    {
        Volatile.Write(ref _configGeneration, _configGeneration + 1);
        if ((Status & DeviceStatus.DriverOk) != 0)
        {
            _interrupt.SignalConfigChange();
        }
        else
        {
            // The driver may have read the old values already, and §2.3.2 forbids to interrupt it yet.
            _configChangedBeforeDriverOk = true;
        }
    }

    void IDeviceOwner.OnNeedsReset() => AskForReset();

    /// <summary>What a snapshot keeps, without the transport's own interrupt state.</summary>
    internal TransportState Save()
    {
        if (_active is not null)
        {
            _device.OnSaving();
        }

        return new TransportState
        {
            Status = Status,
            DeviceFeaturesSelect = DeviceFeaturesSelect,
            DriverFeaturesSelect = DriverFeaturesSelect,
            DriverFeatures = _driverFeatures,
            QueueSelect = QueueSelect,
            ConfigGeneration = _configGeneration,
            Queues = _active is null ? [.. _layouts] : Array.ConvertAll(_active, static q => q.Save()),
        };
    }

    /// <summary>Takes over a saved state and, if a driver was at work in it, activates the device.</summary>
    internal void Restore(TransportState state)
    {
        // A reset here would undo what the device itself has just restored.
        if (Status != DeviceStatus.None)
        {
            throw new InvalidOperationException($"{_device.Type} {_device.Id} already has a driver; state is restored into a new device only.");
        }

        DeviceStatus order = state.Status & ~(DeviceStatus.NeedsReset | DeviceStatus.Failed);
        bool legal = order is DeviceStatus.None
            or DeviceStatus.Acknowledge
            or (DeviceStatus.Acknowledge | DeviceStatus.Driver)
            or (DeviceStatus.Acknowledge | DeviceStatus.Driver | DeviceStatus.FeaturesOk)
            or (DeviceStatus.Acknowledge | DeviceStatus.Driver | DeviceStatus.FeaturesOk | DeviceStatus.DriverOk);
        if (!legal || (state.Status & ~Known) != 0)
        {
            throw Bad($"its status 0x{(byte)state.Status:x} is none a driver can reach");
        }

        if (state.Queues.Count != _layouts.Length)
        {
            throw Bad($"it has {state.Queues.Count} queues instead of {_layouts.Length}");
        }

        _driverFeatures = state.DriverFeatures;
        if ((order & DeviceStatus.FeaturesOk) != 0 && !FeaturesAreAcceptable())
        {
            _driverFeatures = 0;
            throw Bad($"its features 0x{state.DriverFeatures:x} are not among those offered (0x{_device.OfferedFeatures:x})");
        }

        DeviceFeaturesSelect = state.DeviceFeaturesSelect;
        DriverFeaturesSelect = state.DriverFeaturesSelect;
        QueueSelect = state.QueueSelect;
        // One more where the device came back with another configuration than it was saved with.
        Volatile.Write(ref _configGeneration, state.ConfigGeneration + (_configChangedBeforeDriverOk ? 1u : 0u));
        for (int i = 0; i < _layouts.Length; i++)
        {
            _layouts[i] = state.Queues[i];
        }

        Status = state.Status;
        if ((order & DeviceStatus.DriverOk) == 0 || (state.Status & (DeviceStatus.NeedsReset | DeviceStatus.Failed)) != 0)
        {
            return;
        }

        if (!TryOpenQueues(out Virtqueue[] queues, out QueueFault fault, out int index))
        {
            Reset();
            throw Bad($"its queue {index} is not usable ({fault})");
        }

        Start(queues);
    }

    private void Activate()
    {
        if (!TryOpenQueues(out Virtqueue[] queues, out QueueFault fault, out int index))
        {
            _device.Warning?.Invoke($"The driver of {_device.Type} {_device.Id} set up queue {index} in a way that cannot work ({fault}).");
            AskForReset();
            return;
        }

        try
        {
            Start(queues);
        }
        catch (HearthException e)
        {
            _active = null;
            _device.Reset();
            _device.Warning?.Invoke($"{_device.Type} {_device.Id} cannot start: {e.Message}");
            AskForReset();
        }
    }

    private void Start(Virtqueue[] queues)
    {
        _active = queues;
        _device.Activate(new DeviceActivation
        {
            Memory = _memory,
            Features = _driverFeatures,
            Queues = queues,
            Interrupt = _interrupt,
            Loop = _loop,
            Notifiers = _notifiers,
        });

        // Buffers that were made available before now rang a bell that nobody heard.
        foreach (EventFd notifier in _notifiers)
        {
            notifier.Signal();
        }

        if (_configChangedBeforeDriverOk)
        {
            _configChangedBeforeDriverOk = false;
            _interrupt.SignalConfigChange();
        }
    }

    private bool TryOpenQueues(out Virtqueue[] queues, out QueueFault fault, out int index)
    {
        queues = new Virtqueue[_layouts.Length];
        for (index = 0; index < queues.Length; index++)
        {
            fault = Virtqueue.TryCreate(
                _memory, _layouts[index], _device.MaxQueueSizes[index], _driverFeatures, OnQueueBroken, out Virtqueue? queue);
            if (queue is null)
            {
                return false;
            }

            queues[index] = queue;
        }

        fault = QueueFault.None;
        return true;
    }

    private void OnQueueBroken(QueueFault fault)
    {
        _device.Warning?.Invoke($"The driver of {_device.Type} {_device.Id} broke a queue ({fault}); the device waits for a reset.");
        AskForReset();
    }

    private void AskForReset()
    {
        bool running = (Status & DeviceStatus.DriverOk) != 0;
        Status |= DeviceStatus.NeedsReset;
        if (running)
        {
            _interrupt.SignalConfigChange();
        }
    }

    private void Reset()
    {
        _active = null;
        _device.Reset();
        _driverFeatures = 0;
        DeviceFeaturesSelect = 0;
        DriverFeaturesSelect = 0;
        QueueSelect = 0;
        _configChangedBeforeDriverOk = false;
        ClearLayouts();
        Status = DeviceStatus.None;
    }

    private void ClearLayouts()
    {
        for (int i = 0; i < _layouts.Length; i++)
        {
            // §4.2.3.2: a driver that does not choose gets the greatest size.
            _layouts[i] = new VirtqueueState { Size = _device.MaxQueueSizes[i] };
        }
    }

    /// <summary>§3.1.1 step 5 and §6.1: only what was offered, and never without VERSION_1.</summary>
    private bool FeaturesAreAcceptable()
    {
        bool acceptable = (_driverFeatures & ~_device.OfferedFeatures) == 0 && (_driverFeatures & VirtioFeatures.Version1) != 0;
        IgnoredSteps += acceptable ? 0 : 1;
        return acceptable;
    }

    /// <summary>Takes one step of the driver's, if it is asked for and the one before it was taken.</summary>
    private bool Advance(DeviceStatus added, DeviceStatus step, DeviceStatus before)
    {
        if ((added & step) == 0)
        {
            return false;
        }

        if ((Status & before) != before)
        {
            IgnoredSteps++;
            return false;
        }

        Status |= step;
        return true;
    }

    private bool Between(DeviceStatus set, DeviceStatus notYet) =>
        (Status & set) != 0 && (Status & (notYet | DeviceStatus.NeedsReset | DeviceStatus.Failed)) == 0;

    private HearthException Bad(string why) =>
        new($"The saved state of {_device.Type} {_device.Id} cannot be restored: {why}. The snapshot is damaged or of another machine.");

    private static uint Half(ulong features, uint select) => select switch
    {
        0 => (uint)features,
        1 => (uint)(features >> 32),
        _ => 0,
    };
}
