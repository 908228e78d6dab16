using System.Buffers.Binary;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Platform.State;
using Hearth.Virtio.Queues;
using Hearth.Virtio.RateLimiting;

namespace Hearth.Virtio.Net;

/// <summary>
/// virtio-net over a TAP interface. Frames move straight between guest memory and the TAP, each behind its 12-byte
/// header, which the kernel itself reads and writes: offloads pass through unseen.
/// <para>Shape: queue 0 receives, queue 1 sends (virtio 1.2 §5.1). Thread: the event loop does both.</para>
/// </summary>
public sealed partial class NetDevice : VirtioDevice, ISnapshottable<NetState>
{
    /// <summary>The longest frame with its header: 65,550 bytes behind 12. Source: virtio 1.2 §5.1.6.3.1.</summary>
    public const int MaxFrameBytes = 65_562;

    /// <summary>How much of a frame an interceptor sees before it says whether it wants it: enough for ARP and IPv4.</summary>
    public const int InterceptorPeekBytes = 64;

    private const int RxQueue = 0;
    private const int TxQueue = 1;
    private const ushort QueueSize = 256;
    private const int ConfigBytes = 12;
    private const int ConfigMtuOffset = 10;

    // How long one interface may keep the loop from the other devices, and the guest from what is done already.
    private const int FramesPerTurn = QueueSize;
    private const int FramesPerInterrupt = 64;

    private static readonly ushort[] s_queueSizes = [QueueSize, QueueSize];

    private readonly NetConfig _config;
    private readonly TapInterface _tap;
    private readonly RateLimiter _rxLimiter;
    private readonly RateLimiter _txLimiter;
    private readonly ReceiveBuffers _buffers = new(QueueSize);
    private readonly Wakeup _tapWakeup;
    private readonly ulong _features;

    private DeviceActivation? _active;
    private EventRegistration _tapRegistration;

    /// <summary>Opens the TAP.</summary>
    /// <exception cref="HearthException">It is not to be had.</exception>
    public NetDevice(NetConfig config)
        : this(config, TapInterface.Open(config.HostDeviceName))
    {
    }

    internal NetDevice(NetConfig config, TapInterface tap)
    {
        _config = config;
        _tap = tap;
        _rxLimiter = new RateLimiter(config.RxRateLimiter);
        _txLimiter = new RateLimiter(config.TxRateLimiter);
        _tapWakeup = new Wakeup(this, OnTapReady);
        _timerWakeup = new Wakeup(this, OnInterceptorTimer);
        _features = VirtioFeatures.Common | NetFeatures.Always
            | (config.GuestMac is null ? 0 : NetFeatures.Mac)
            | (config.Mtu is null ? 0 : NetFeatures.Mtu);
    }

    public override VirtioDeviceType Type => VirtioDeviceType.Net;

    public override string Id => _config.IfaceId;

    public override ulong OfferedFeatures => _features;

    public override ReadOnlySpan<ushort> MaxQueueSizes => s_queueSizes;

    public override NetMetrics Metrics { get; } = new();

    /// <summary>A neighbour inside the monitor; null for none. Set before the guest runs.</summary>
    public INetInterceptor? Interceptor { get; init; }

    public override void ReadConfig(uint offset, Span<byte> destination)
    {
        // struct virtio_net_config (§5.1.4): mac and mtu; what we do not offer is zero.
        Span<byte> config = stackalloc byte[ConfigBytes];
        config.Clear();
        (_config.GuestMac ?? default).Write(config);
        BinaryPrimitives.WriteUInt16LittleEndian(config[ConfigMtuOffset..], _config.Mtu ?? 0);
        destination.Clear();
        if (offset >= ConfigBytes)
        {
            Metrics.CfgFails.Increment();
            return;
        }

        ReadOnlySpan<byte> source = config[(int)offset..];
        source[..Math.Min(source.Length, destination.Length)].CopyTo(destination);
    }

    // A 1.x driver changes its address by a control queue only, which is not offered (§5.1.4.2).
    public override void WriteConfig(uint offset, ReadOnlySpan<byte> source) => Metrics.CfgFails.Increment();

    public override void Activate(DeviceActivation activation)
    {
        try
        {
            _tap.SetOffload(Offloads(activation));
        }
        catch (HearthException)
        {
            Metrics.ActivateFails.Increment();
            throw;
        }

        _active = activation;
        _mergeable = activation.HasFeature(NetFeatures.MrgRxbuf);
        _guestChecksum = activation.HasFeature(NetFeatures.GuestCsum);
        _rxLimiter.Attach(activation.Loop, Gate, OnRxLimiterReady);
        _txLimiter.Attach(activation.Loop, Gate, OnTxLimiterReady);
        _tapReady = true;
        // Edges only: while the guest lends no buffers, frames that wait in the TAP cost nothing.
        _tapRegistration = activation.Loop.Add(_tap.Fd, EpollEvents.In | EpollEvents.EdgeTriggered, _tapWakeup);
        AttachInterceptor(activation.Loop);
    }

    public override void Reset()
    {
        if (_active is not null)
        {
            _active.Loop.Remove(_tapRegistration);
            DetachInterceptor(_active.Loop);
        }

        _rxLimiter.Detach();
        _txLimiter.Detach();
        _buffers.Clear();
        _frameBytes = 0;
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
                Metrics.EventFails.Increment();
                break;
        }
    }

    public override void OnSaving()
    {
        // A frame that waits for its buffers, or for tokens, is lost with them.
        _frameBytes = 0;
        _buffers.PutBack(_active!.Queues[RxQueue]);
    }

    /// <summary>Changes the rate limiters' buckets; null leaves one as it is. Thread: API.</summary>
    public void UpdateRateLimiters(RateLimiterConfig? rx, RateLimiterConfig? tx)
    {
        lock (Gate)
        {
            if (rx is not null)
            {
                _rxLimiter.Update(rx);
            }

            if (tx is not null)
            {
                _txLimiter.Update(tx);
            }
        }
    }

    public NetState Save() => new()
    {
        IfaceId = Id,
        HostDeviceName = _tap.Name,
        GuestMac = _config.GuestMac,
        Mtu = _config.Mtu,
        RxRateLimiter = _rxLimiter.Save(),
        TxRateLimiter = _txLimiter.Save(),
    };

    public void Restore(NetState state)
    {
        if (state.IfaceId != Id || state.GuestMac != _config.GuestMac || state.Mtu != _config.Mtu)
        {
            throw new HearthException(
                $"The saved state of network interface {state.IfaceId} does not fit interface {Id}. The snapshot is damaged or of another machine.");
        }

        if (state.RxRateLimiter is not null)
        {
            _rxLimiter.Restore(state.RxRateLimiter);
        }

        if (state.TxRateLimiter is not null)
        {
            _txLimiter.Restore(state.TxRateLimiter);
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _rxLimiter.Dispose();
            _txLimiter.Dispose();
            _timer?.Dispose();
            _tap.Dispose();
        }
    }

    // A driver that takes segments must take unfinished checksums too (§5.1.3.1); the kernel insists on it.
    private static uint Offloads(DeviceActivation activation)
    {
        if (!activation.HasFeature(NetFeatures.GuestCsum))
        {
            return 0;
        }

        return LinuxIfTun.TUN_F_CSUM
            | (activation.HasFeature(NetFeatures.GuestTso4) ? LinuxIfTun.TUN_F_TSO4 : 0)
            | (activation.HasFeature(NetFeatures.GuestTso6) ? LinuxIfTun.TUN_F_TSO6 : 0);
    }

    private static void Publish(DeviceActivation active, int queueIndex)
    {
        Virtqueue queue = active.Queues[queueIndex];
        queue.PublishUsed();
        if (queue.NeedsNotification())
        {
            active.Interrupt.SignalQueue(queueIndex);
        }
    }

    private void OnRxLimiterReady()
    {
        Metrics.RxEventRateLimiterCount.Increment();
        Receive();
    }

    private void OnTxLimiterReady()
    {
        Metrics.TxRateLimiterEventCount.Increment();
        Transmit();
    }

    /// <summary>Calls its device from the loop, under the Gate, while it is active.</summary>
    private sealed class Wakeup : IEventHandler
    {
        private readonly NetDevice _device;
        private readonly Action _action;

        public Wakeup(NetDevice device, Action action)
        {
            _device = device;
            _action = action;
        }

        public void OnReady(EpollEvents events)
        {
            lock (_device.Gate)
            {
                // A reset may have come between the event and the lock.
                if (_device._active is not null)
                {
                    _action();
                }
            }
        }
    }
}
