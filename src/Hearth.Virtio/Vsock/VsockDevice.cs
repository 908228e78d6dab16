using System.Buffers.Binary;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Platform.State;
using Hearth.Virtio.Queues;

namespace Hearth.Virtio.Vsock;

/// <summary>
/// virtio-vsock: streams between programs of the guest and of the host, which are Unix sockets there, with Firecracker's
/// convention. A host connects to <c>uds_path</c>, writes <c>CONNECT port\n</c> and reads <c>OK port\n</c>; a guest that
/// connects to the host's port P reaches whoever listens on <c>uds_path_P</c>.
/// <para>Shape: queue 0 to the guest, 1 from the guest, 2 events (virtio 1.2 §5.10.2). Payload moves straight between
/// guest memory and the sockets; only what a host does not take at once is kept, up to
/// <see cref="VsockStream.BufferBytes"/> a stream. Nothing is allocated for a packet.</para>
/// <para>A stream that cannot go on (no credit, a full socket) costs nothing until an event changes that, and those that
/// can take turns, a packet each.</para>
/// <para>Source: virtio 1.2 §5.10; Firecracker docs/vsock.md. Thread: the event loop.</para>
/// </summary>
public sealed partial class VsockDevice : VirtioDevice, ISnapshottable<VsockState>
{
    /// <summary>Streams, greetings included; more are reset, or wait in the listener's backlog.</summary>
    public const int MaxStreams = 2048;

    private const int RxQueue = 0;
    private const int TxQueue = 1;
    private const int EventQueue = 2;
    private const ushort QueueSize = 256;
    private const int ConfigBytes = 8;
    private const int ListenerBacklog = 128;

    // How long one turn may keep the loop from the other devices, and the guest from what is done already.
    private const int PacketsPerTurn = QueueSize;
    private const int PacketsPerInterrupt = 64;

    private static readonly ushort[] s_queueSizes = [QueueSize, QueueSize, QueueSize];

    private readonly VsockConfig _config;
    private readonly UnixListener _listener;
    private readonly Wakeup _listenerWakeup;
    private readonly Wakeup _timerWakeup;
    private readonly TimerFd _timer = new();
    private readonly Dictionary<(uint Host, uint Guest), VsockStream> _streams = [];
    private readonly HashSet<VsockStream> _greeting = [];
    private readonly VsockRound _round = new();

    // Rings of streams that need none any more, for the next that do.
    private readonly Stack<byte[]> _spareRings = new(PendingBytes.MostSpare);

    // For readv and sendmsg; one packet at a time.
    private readonly iovec[] _pieces = GC.AllocateUninitializedArray<iovec>(Virtqueue.MaxSegments, pinned: true);

    private DeviceActivation? _active;
    private EventRegistration _listenerRegistration;
    private EventRegistration _timerRegistration;
    private bool _mustTellReset;

    /// <summary>Makes the socket file, which is removed with the device.</summary>
    /// <exception cref="LinuxException">The path is taken, or cannot be made.</exception>
    public VsockDevice(VsockConfig config)
    {
        _config = config;
        _listener = UnixListener.Bind(config.UdsPath, ListenerBacklog);
        _listenerWakeup = new Wakeup(this, Accept);
        _timerWakeup = new Wakeup(this, OnTimer);
    }

    public override VirtioDeviceType Type => VirtioDeviceType.Vsock;

    public override string Id => "vsock";

    public override ulong OfferedFeatures => VirtioFeatures.Common;

    public override ReadOnlySpan<ushort> MaxQueueSizes => s_queueSizes;

    public override VsockMetrics Metrics { get; } = new();

    public override void ReadConfig(uint offset, Span<byte> destination)
    {
        // struct virtio_vsock_config (§5.10.4).
        Span<byte> config = stackalloc byte[ConfigBytes];
        BinaryPrimitives.WriteUInt64LittleEndian(config, _config.GuestCid);
        destination.Clear();
        if (offset >= ConfigBytes)
        {
            Metrics.CfgFails.Increment();
            return;
        }

        ReadOnlySpan<byte> source = config[(int)offset..];
        source[..Math.Min(source.Length, destination.Length)].CopyTo(destination);
    }

    public override void WriteConfig(uint offset, ReadOnlySpan<byte> source) => Metrics.CfgFails.Increment();

    public override void Activate(DeviceActivation activation)
    {
        _active = activation;
        _listenerRegistration = activation.Loop.Add(_listener, EpollEvents.In, _listenerWakeup);
        _timerRegistration = activation.Loop.Add(_timer, EpollEvents.In, _timerWakeup);
        TellReset();
    }

    public override void Reset()
    {
        if (_active is null)
        {
            return;
        }

        foreach (VsockStream stream in _streams.Values.Concat(_greeting).ToArray())
        {
            End(stream);
        }

        _resets.Clear();
        _transmitWaits = false;
        _timer.Disarm();
        _timerDueMs = long.MaxValue;
        _active.Loop.Remove(_listenerRegistration);
        _active.Loop.Remove(_timerRegistration);
        _active = null;
    }

    public override void OnQueueNotified(int queueIndex)
    {
        switch (queueIndex)
        {
            case RxQueue:
                Metrics.RxQueueEventCount.Increment();
                Receive();
                break;
            case TxQueue:
                Metrics.TxQueueEventCount.Increment();
                Transmit();
                break;
            default:
                TellReset();
                break;
        }
    }

    public VsockState Save() => new() { GuestCid = _config.GuestCid, UdsPath = _config.UdsPath };

    public void Restore(VsockState state)
    {
        if (state.GuestCid != _config.GuestCid)
        {
            throw new HearthException($"The saved state of the vsock device of guest CID {state.GuestCid} does not fit CID {_config.GuestCid}. The snapshot is damaged or of another machine.");
        }

        _mustTellReset = true;
        TellReset();
    }

    /// <summary>A socket is ready.</summary>
    internal void OnStreamReady(VsockStream stream, EpollEvents events)
    {
        lock (Gate)
        {
            // A reset, or the stream's end, may have come between the event and the lock.
            if (_active is null || stream.State == VsockStreamState.Ended)
            {
                return;
            }

            OnSocketReady(stream, events);
            Receive();
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            lock (Gate)
            {
                Reset();
            }

            _timer.Dispose();
            _listener.Dispose();
            // The file is ours: it was made by the constructor, which refuses a path that is taken.
            _ = Unistd.unlink(_config.UdsPath);
        }
    }

    /// <summary>A restored guest must hear that its streams are gone (virtio 1.2 §5.10.6.7).</summary>
    private void TellReset()
    {
        if (!_mustTellReset || _active is null)
        {
            return;
        }

        const uint TransportReset = 0;
        Span<byte> id = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(id, TransportReset);
        Virtqueue queue = _active.Queues[EventQueue];
        int left = QueueSize;
        do
        {
            while (_mustTellReset && left-- > 0 && queue.TryPop(out DescriptorChain chain))
            {
                _mustTellReset = !chain.TryWrite(0, id);
                Metrics.EvQueueEventFails.Add(_mustTellReset ? 1 : 0);
                queue.AddUsed(chain.Head, _mustTellReset ? 0u : sizeof(uint));
            }

            Publish(EventQueue);
        }
        while (_mustTellReset && left-- > 0 && !queue.TryEnableNotifications());
        if (_mustTellReset && left <= 0)
        {
            _active.Notifiers[EventQueue].Signal();
        }
    }

    private void Publish(int queueIndex)
    {
        Virtqueue queue = _active!.Queues[queueIndex];
        queue.PublishUsed();
        if (queue.NeedsNotification())
        {
            _active.Interrupt.SignalQueue(queueIndex);
        }
    }

    /// <summary>Calls its device from the loop, under the Gate, while it is active.</summary>
    private sealed class Wakeup(VsockDevice device, Action action) : IEventHandler
    {
        public void OnReady(EpollEvents events)
        {
            lock (device.Gate)
            {
                if (device._active is not null)
                {
                    action();
                }
            }
        }
    }
}
