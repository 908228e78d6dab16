using System.Buffers.Binary;
using Hearth.Linux;
using Hearth.Platform.Bus;
using Hearth.Platform.Interrupts;
using Hearth.Platform.Memory;
using Hearth.Platform.State;

namespace Hearth.Virtio.Transport;

/// <summary>
/// A device as a page of registers in guest-physical memory. Source: virtio 1.2 §4.2.
/// <para>Shape: 4-byte registers below 0x100, read and written only as aligned words (anything else reads zero and
/// writes nothing); the device's configuration space from 0x100 on, in 1, 2, 4 or 8 bytes.</para>
/// <para>Thread: <see cref="Read"/> and <see cref="Write"/> on any vCPU thread. The registers of the steady state
/// (notify, interrupt status and acknowledge, status, generation) take no lock, so a vCPU never waits for the event
/// loop's I/O there.</para>
/// </summary>
public sealed class MmioTransport : IBusDevice, IVirtioInterrupt, ISnapshottable<TransportState>, IDisposable
{
    /// <summary>How much address space a device takes.</summary>
    public const ulong RegionSize = 0x1000;

    /// <summary>Where the driver rings; for the ioeventfd.</summary>
    public const ulong QueueNotifyOffset = MmioRegisters.QueueNotify;

    private const uint Magic = 0x7472_6976;
    private const uint Vendor = 0;
    private const uint UsedBufferInterrupt = 1;
    private const uint ConfigChangeInterrupt = 2;

    private readonly VirtioDevice _device;
    private readonly IInterruptLine _line;
    private readonly EventLoop _loop;
    private readonly EventFd[] _notifiers;
    private readonly EventRegistration[] _registrations;
    private readonly VirtioStatusMachine _machine;
    private uint _interruptStatus;
    private bool _disposed;

    /// <summary>Makes the registers and puts the queues' doorbells on the loop. The device stays its creator's to dispose.</summary>
    public MmioTransport(VirtioDevice device, GuestMemory memory, IInterruptLine line, EventLoop loop)
    {
        _device = device;
        _line = line;
        _loop = loop;
        int queues = device.MaxQueueSizes.Length;
        _notifiers = new EventFd[queues];
        // Doorbells that were lent to another process are not this loop's to hear.
        _registrations = new EventRegistration[device.HasRemoteQueues ? 0 : queues];
        for (int i = 0; i < queues; i++)
        {
            _notifiers[i] = new EventFd();
        }

        _machine = new VirtioStatusMachine(device, memory, this, loop, _notifiers);
        for (int i = 0; i < _registrations.Length; i++)
        {
            // Edge-triggered: each ring wakes the loop once, and nobody needs a read(2) to silence the bell.
            _registrations[i] = loop.Add(_notifiers[i], EpollEvents.In | EpollEvents.EdgeTriggered, new QueueHandler(this, i));
        }
    }

    public VirtioDevice Device => _device;

    /// <summary>
    /// One doorbell a queue: the machine ties each to writes of the queue's index (4 bytes) at
    /// <see cref="QueueNotifyOffset"/>. A write that reaches <see cref="Write"/> all the same rings it too.
    /// </summary>
    public IReadOnlyList<EventFd> QueueNotifiers => _notifiers;

    /// <summary>The device's status, for logs and tests. Thread: any.</summary>
    public DeviceStatus Status => _machine.Status;

    /// <summary>How often the driver did something out of order. Thread: any; may lag.</summary>
    public long IgnoredSteps => _machine.IgnoredSteps;

    public void Read(ulong offset, Span<byte> data)
    {
        data.Clear();
        if (offset >= MmioRegisters.Config)
        {
            if (offset < RegionSize && IsConfigAccess(data.Length))
            {
                lock (_device.Gate)
                {
                    _device.ReadConfig((uint)(offset - MmioRegisters.Config), data);
                }
            }

            return;
        }

        if (data.Length == sizeof(uint) && offset % sizeof(uint) == 0)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(data, ReadRegister((uint)offset));
        }
    }

    public void Write(ulong offset, ReadOnlySpan<byte> data)
    {
        if (offset >= MmioRegisters.Config)
        {
            // §3.1.1: a driver may not write the configuration space before it has said DRIVER.
            if (offset < RegionSize && IsConfigAccess(data.Length) && (_machine.Status & DeviceStatus.Driver) != 0)
            {
                lock (_device.Gate)
                {
                    _device.WriteConfig((uint)(offset - MmioRegisters.Config), data);
                }
            }

            return;
        }

        if (data.Length == sizeof(uint) && offset % sizeof(uint) == 0)
        {
            WriteRegister((uint)offset, BinaryPrimitives.ReadUInt32LittleEndian(data));
        }
    }

    public void SignalQueue(int index) => Raise(UsedBufferInterrupt);

    public void SignalConfigChange() => Raise(ConfigChangeInterrupt);

    public EventFd? QueueEvent(int index) => _line.Event;

    /// <summary>Under the device's Gate, with the guest paused.</summary>
    public TransportState Save() => _machine.Save() with { InterruptStatus = Volatile.Read(ref _interruptStatus) };

    /// <summary>Under the device's Gate, after the device's own state was restored: a driver at work finds the device at work.</summary>
    public void Restore(TransportState state)
    {
        _machine.Restore(state);
        Interlocked.Or(ref _interruptStatus, state.InterruptStatus & (UsedBufferInterrupt | ConfigChangeInterrupt));
        if (Volatile.Read(ref _interruptStatus) != 0)
        {
            // Whether the edge got through before the snapshot is not known; a spurious one does no harm.
            _line.Trigger();
        }
    }

    /// <summary>Takes the doorbells off the loop. After the vCPUs have ended, or the guest has let go of the device.</summary>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        foreach (EventRegistration registration in _registrations)
        {
            _loop.Remove(registration);
        }

        lock (_device.Gate)
        {
            _machine.WriteStatus(0);
        }

        foreach (EventFd notifier in _notifiers)
        {
            notifier.Dispose();
        }
    }

    private static bool IsConfigAccess(int length) => length is 1 or 2 or 4 or 8;

    private uint ReadRegister(uint register)
    {
        switch (register)
        {
            case MmioRegisters.MagicValue:
                return Magic;
            case MmioRegisters.Version:
                return 2;
            case MmioRegisters.DeviceId:
                return (uint)_device.Type;
            case MmioRegisters.VendorId:
                return Vendor;
            case MmioRegisters.InterruptStatus:
                return ReadInterruptStatus();
            case MmioRegisters.Status:
                return (uint)_machine.Status;
            case MmioRegisters.ConfigGeneration:
                return _machine.ConfigGeneration;
            case MmioRegisters.ShmLenLow:
            case MmioRegisters.ShmLenHigh:
            case MmioRegisters.ShmBaseLow:
            case MmioRegisters.ShmBaseHigh:
                // §4.2.2.1: a length of -1 says that there is no such shared memory region; no device has one.
                return uint.MaxValue;
        }

        lock (_device.Gate)
        {
            return register switch
            {
                MmioRegisters.DeviceFeatures => _machine.DeviceFeatures,
                MmioRegisters.QueueNumMax => _machine.SelectedMaxSize,
                MmioRegisters.QueueReady => _machine.SelectedLayout.Ready ? 1u : 0u,
                _ => 0,
            };
        }
    }

    /// <summary>
    /// Another process that serves the queues raises the line, and cannot set a bit here: any interrupt may then be of
    /// a queue, and the driver finds out by looking (virtio 1.2 §4.2.2.1 allows it nothing else to do).
    /// </summary>
    private uint ReadInterruptStatus()
    {
        uint status = Volatile.Read(ref _interruptStatus);
        return _device.HasRemoteQueues && (_machine.Status & DeviceStatus.DriverOk) != 0 ? status | UsedBufferInterrupt : status;
    }

    private void WriteRegister(uint register, uint value)
    {
        if (register == MmioRegisters.QueueNotify)
        {
            // §4.2.2: without NOTIFICATION_DATA the value is the queue's index.
            if (value < (uint)_notifiers.Length)
            {
                _notifiers[value].Signal();
            }

            return;
        }

        if (register == MmioRegisters.InterruptAck)
        {
            Interlocked.And(ref _interruptStatus, ~value);
            return;
        }

        lock (_device.Gate)
        {
            WriteSetupRegister(register, value);
        }
    }

    private void WriteSetupRegister(uint register, uint value)
    {
        switch (register)
        {
            case MmioRegisters.Status:
                _machine.WriteStatus(value);
                if (value == 0)
                {
                    Volatile.Write(ref _interruptStatus, 0);
                }

                break;
            case MmioRegisters.DeviceFeaturesSel:
                _machine.DeviceFeaturesSelect = value;
                break;
            case MmioRegisters.DriverFeaturesSel:
                _machine.DriverFeaturesSelect = value;
                break;
            case MmioRegisters.DriverFeatures:
                _machine.WriteDriverFeatures(value);
                break;
            case MmioRegisters.QueueSel:
                _machine.QueueSelect = value;
                break;
            case MmioRegisters.QueueNum:
                // A size that does not fit 16 bits must not turn into one that does.
                _machine.WriteLayout(static (q, v) => q with { Size = (ushort)Math.Min(v, ushort.MaxValue) }, value);
                break;
            case MmioRegisters.QueueReady:
                _machine.WriteLayout(static (q, v) => q with { Ready = v == 1 }, value);
                break;
            case MmioRegisters.QueueDescLow:
                _machine.WriteLayout(static (q, v) => q with { DescriptorTable = WithLow(q.DescriptorTable, v) }, value);
                break;
            case MmioRegisters.QueueDescHigh:
                _machine.WriteLayout(static (q, v) => q with { DescriptorTable = WithHigh(q.DescriptorTable, v) }, value);
                break;
            case MmioRegisters.QueueDriverLow:
                _machine.WriteLayout(static (q, v) => q with { AvailRing = WithLow(q.AvailRing, v) }, value);
                break;
            case MmioRegisters.QueueDriverHigh:
                _machine.WriteLayout(static (q, v) => q with { AvailRing = WithHigh(q.AvailRing, v) }, value);
                break;
            case MmioRegisters.QueueDeviceLow:
                _machine.WriteLayout(static (q, v) => q with { UsedRing = WithLow(q.UsedRing, v) }, value);
                break;
            case MmioRegisters.QueueDeviceHigh:
                _machine.WriteLayout(static (q, v) => q with { UsedRing = WithHigh(q.UsedRing, v) }, value);
                break;
        }
    }

    private void Raise(uint cause)
    {
        // The cause before the edge: a driver woken by the edge finds it. Each completion raises an edge of its own,
        // because the driver may acknowledge an earlier one at any moment between the two steps.
        Interlocked.Or(ref _interruptStatus, cause);
        _line.Trigger();
    }

    private void OnQueueReady(int index)
    {
        lock (_device.Gate)
        {
            if (_machine.IsRunning)
            {
                _device.OnQueueNotified(index);
            }
        }
    }

    private static ulong WithLow(ulong address, uint low) => (address & 0xffff_ffff_0000_0000) | low;

    private static ulong WithHigh(ulong address, uint high) => (address & 0xffff_ffff) | ((ulong)high << 32);

    private sealed class QueueHandler(MmioTransport transport, int index) : IEventHandler
    {
        public void OnReady(EpollEvents events) => transport.OnQueueReady(index);
    }
}
