using System.Diagnostics;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Virtio.Queues;

namespace Hearth.Virtio.Net;

/// <summary>From the guest to the TAP, or to the neighbour inside the monitor.</summary>
public sealed unsafe partial class NetDevice
{
    // The source address of the frame behind its header.
    private const uint SourceMacOffset = TapInterface.HeaderBytes + MacAddress.Bytes;

    private void Transmit()
    {
        Debug.Assert(_active is not null, "Only an active device is called.");
        DeviceActivation active = _active;
        if (_txLimiter.IsBlocked)
        {
            return;
        }

        Virtqueue queue = active.Queues[TxQueue];
        int left = FramesPerTurn;
        bool intercepted = false;
        do
        {
            queue.DisableNotifications();
            bool throttled = !TryTransmitAvailable(active, ref left, ref intercepted);
            Publish(active, TxQueue);
            if (throttled)
            {
                // The limiter's timer brings us back; until then the guest need not ring.
                break;
            }

            // Looking again counts too: a guest that adds only malformed chains must not hold the loop.
            if (--left <= 0)
            {
                Metrics.TxRemainingReqsCount.Increment();
                active.Notifiers[TxQueue].Signal();
                break;
            }
        }
        while (!queue.TryEnableNotifications());

        if (intercepted)
        {
            Receive();
        }
    }

    /// <summary>Sends what is available, up to <paramref name="left"/> frames; false where the rate limiter stopped it.</summary>
    private bool TryTransmitAvailable(DeviceActivation active, ref int left, ref bool intercepted)
    {
        Virtqueue queue = active.Queues[TxQueue];
        long malformed = queue.MalformedChains;
        bool any = false;
        bool throttled = false;
        while (left > 0 && queue.TryPop(out DescriptorChain chain))
        {
            left--;
            if (!TrySend(chain, ref intercepted))
            {
                queue.UndoPop();
                throttled = true;
                break;
            }

            any = true;
            queue.AddUsed(chain.Head, 0);
            if (left % FramesPerInterrupt == 0)
            {
                Publish(active, TxQueue);
            }
        }

        malformed = queue.MalformedChains - malformed;
        Metrics.TxMalformedFrames.Add(malformed);
        if (any)
        {
            Metrics.TxCount.Increment();
        }
        else if (!throttled && malformed == 0 && left == FramesPerTurn)
        {
            Metrics.NoTxAvailBuffer.Increment();
        }

        return !throttled;
    }

    /// <summary>Sends one frame or drops it; false, with nothing done, where the rate limiter says to wait.</summary>
    private bool TrySend(in DescriptorChain chain, ref bool intercepted)
    {
        uint bytes = chain.ReadableBytes;
        if (bytes is < TapInterface.HeaderBytes or > MaxFrameBytes)
        {
            Metrics.TxMalformedFrames.Increment();
            return true;
        }

        if (!_txLimiter.TryConsume(bytes))
        {
            Metrics.TxRateLimiterThrottled.Increment();
            return false;
        }

        CheckSource(chain);
        if (Interceptor is not null && TryIntercept(chain, bytes))
        {
            intercepted = true;
        }
        else if (!TryWrite(chain.Readable))
        {
            Metrics.TapWriteFails.Increment();
            Metrics.TxFails.Increment();
            return true;
        }

        Metrics.TxPacketsCount.Increment();
        Metrics.TxBytesCount.Add(bytes);
        return true;
    }

    private void CheckSource(in DescriptorChain chain)
    {
        Span<byte> source = stackalloc byte[MacAddress.Bytes];
        if (_config.GuestMac is { } mac && chain.TryRead(SourceMacOffset, source) && MacAddress.Read(source) != mac)
        {
            Metrics.TxSpoofedMacCount.Increment();
        }
    }

    private bool TryWrite(ReadOnlySpan<iovec> pieces)
    {
        nint written;
        // SAFETY: the pieces lie in the queue's pinned array, came from a checked chain and point into guest memory.
        fixed (iovec* first = pieces)
        {
            do
            {
                written = Unistd.writev(_tap.Fd.Number, first, pieces.Length);
            }
            while (written < 0 && LinuxException.LastErrno == Errno.EINTR);
        }

        return written >= 0;
    }
}
