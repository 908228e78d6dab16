using System.Diagnostics;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Virtio.Queues;

namespace Hearth.Virtio.Net;

/// <summary>
/// From the TAP to the guest. A frame is read straight into the chains that the guest lent; what they do not hold goes
/// to a buffer of the device's own, and from there into the next chains.
/// </summary>
public sealed unsafe partial class NetDevice
{
    // struct virtio_net_hdr_v1 (§5.1.6).
    private const uint HeaderFlagsOffset = 0;
    private const uint HeaderNumBuffersOffset = 10;

    // What a frame has beyond the chains at hand; pinned, because the kernel writes it.
    private readonly byte[] _overflow = GC.AllocateUninitializedArray<byte>(MaxFrameBytes, pinned: true);

    private bool _mergeable;
    private bool _guestChecksum;

    // False from the TAP's "no more" to its next event.
    private bool _tapReady;

    // A frame that was read and not delivered yet, header included; 0 if there is none. Its first part is in the held
    // chains, its last _overflowBytes in _overflow.
    private uint _frameBytes;
    private uint _overflowBytes;

    // How long the next frame may be; a longer one costs a copy of what is over.
    private uint _expectedBytes = MaxFrameBytes;

    private enum ReceiveStop
    {
        NoFrames,
        NoBuffers,
        Throttled,
        TurnOver,
    }

    private void OnTapReady()
    {
        Metrics.RxTapEventCount.Increment();
        _tapReady = true;
        Receive();
    }

    /// <summary>Delivers frames until there are none, or no buffers, or no tokens, or it is the others' turn.</summary>
    private void Receive()
    {
        Debug.Assert(_active is not null, "Only an active device is called.");
        DeviceActivation active = _active;
        if (_rxLimiter.IsBlocked)
        {
            return;
        }

        int left = FramesPerTurn;
        ReceiveStop stop;
        do
        {
            stop = ReceiveFrames(active, ref left);
            Publish(active, RxQueue);
        }
        while (stop == ReceiveStop.NoBuffers && left > 0 && !active.Queues[RxQueue].TryEnableNotifications());

        if (left < FramesPerTurn)
        {
            Metrics.RxCount.Increment();
        }

        if (stop == ReceiveStop.TurnOver || (stop == ReceiveStop.NoBuffers && left <= 0))
        {
            active.Notifiers[RxQueue].Signal();
        }

        ArmInterceptorTimer();
    }

    private ReceiveStop ReceiveFrames(DeviceActivation active, ref int left)
    {
        Virtqueue queue = active.Queues[RxQueue];
        queue.DisableNotifications();
        while (left > 0)
        {
            if (_frameBytes == 0)
            {
                if (!HasFrames())
                {
                    return ReceiveStop.NoFrames;
                }

                Gather(queue, MaxFrameBytes);
                if (_buffers.Count == 0)
                {
                    Metrics.NoRxAvailBuffer.Increment();
                    left--;
                    return ReceiveStop.NoBuffers;
                }

                if (!TryFetch())
                {
                    return ReceiveStop.NoFrames;
                }

                left--;
            }

            if (_overflowBytes > 0 && !TryFit(queue))
            {
                left--;
                return ReceiveStop.NoBuffers;
            }

            if (_frameBytes == 0)
            {
                continue;
            }

            if (!_rxLimiter.TryConsume(_frameBytes))
            {
                Metrics.RxRateLimiterThrottled.Increment();
                return ReceiveStop.Throttled;
            }

            Deliver(queue);
            if (left % FramesPerInterrupt == 0)
            {
                Publish(active, RxQueue);
            }
        }

        return ReceiveStop.TurnOver;
    }

    private bool HasFrames() => _tapReady || Interceptor is not null;

    private void Gather(Virtqueue queue, uint wantedBytes)
    {
        long malformed = queue.MalformedChains;
        int rejected = _buffers.Gather(queue, wantedBytes, _mergeable ? QueueSize : 1);
        Metrics.RxFails.Add(rejected + queue.MalformedChains - malformed);
    }

    /// <summary>Gets the next frame into the held chains and the overflow; false if there is none.</summary>
    private bool TryFetch()
    {
        if (Interceptor is not null && TryFetchIntercepted())
        {
            return true;
        }

        while (_tapReady)
        {
            nint got;
            uint lentBytes;
            // SAFETY: the pieces are pinned, came from checked chains and lie in guest memory, which outlives us; the
            // last is all of the pinned overflow buffer.
            fixed (byte* overflow = _overflow)
            {
                ReadOnlySpan<iovec> pieces = _buffers.Lend(_expectedBytes, new iovec { iov_base = overflow, iov_len = MaxFrameBytes }, out lentBytes);
                fixed (iovec* first = pieces)
                {
                    got = Unistd.readv(_tap.Fd.Number, first, pieces.Length);
                }
            }

            if (got >= TapInterface.HeaderBytes)
            {
                SetFrame((uint)got, lentBytes);
                // Long frames come in rows: after one, room for the longest; then less and less.
                _expectedBytes = got > lentBytes ? MaxFrameBytes : Math.Max((uint)got, _expectedBytes - (_expectedBytes / 8));
                return true;
            }

            if (got < 0 && LinuxException.LastErrno == Errno.EINTR)
            {
                continue;
            }

            // Nothing more, for now or for ever: an interface that is gone is not asked again before its next event.
            _tapReady = false;
            if (got >= 0 || LinuxException.LastErrno != Errno.EAGAIN)
            {
                Metrics.TapReadFails.Increment();
            }
        }

        return false;
    }

    private void SetFrame(uint bytes, uint inChains)
    {
        _frameBytes = bytes;
        _overflowBytes = bytes > inChains ? bytes - inChains : 0;
    }

    /// <summary>
    /// Moves the overflow into more chains; false if the guest must lend them first. A frame that can never fit is
    /// dropped: <see cref="_frameBytes"/> is 0 then.
    /// </summary>
    private bool TryFit(Virtqueue queue)
    {
        uint inChains = _frameBytes - _overflowBytes;
        if (_mergeable)
        {
            Gather(queue, _frameBytes);
        }

        if (_buffers.Bytes >= _frameBytes)
        {
            _buffers.Write(inChains, _overflow.AsSpan(0, (int)_overflowBytes));
            _overflowBytes = 0;
            return true;
        }

        if (_mergeable && !_buffers.IsFull && _buffers.Count < queue.Size)
        {
            Metrics.NoRxAvailBuffer.Increment();
            return false;
        }

        Metrics.RxFails.Increment();
        _frameBytes = 0;
        _overflowBytes = 0;
        return true;
    }

    private void Deliver(Virtqueue queue)
    {
        int chains = _buffers.ChainsFor(_frameBytes);
        // The TAP leaves num_buffers alone; without VIRTIO_NET_F_MRG_RXBUF it is 1 all the same (§5.1.6.4.1).
        ReadOnlySpan<byte> count = [(byte)chains, (byte)(chains >> 8)];
        _buffers.Write(HeaderNumBuffersOffset, count);
        if (!_guestChecksum)
        {
            // It may still say that the checksum is known to be right, which this driver did not ask for.
            _buffers.Write(HeaderFlagsOffset, [0]);
        }

        _buffers.Use(queue, chains, _frameBytes);
        Metrics.RxPacketsCount.Increment();
        Metrics.RxBytesCount.Add(_frameBytes);
        _frameBytes = 0;
    }
}
