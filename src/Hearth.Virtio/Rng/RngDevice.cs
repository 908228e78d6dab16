using System.Diagnostics;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Platform.State;
using Hearth.Virtio.Queues;
using Hearth.Virtio.RateLimiting;

namespace Hearth.Virtio.Rng;

/// <summary>
/// The host's random bytes for the guest. Source: virtio 1.2 §5.4.
/// <para>Shape: one queue; a request is writable buffers, filled from the start by getrandom(2) without a copy, at most
/// <see cref="MaxBytesPerRequest"/> of them (Firecracker's cap), so that one request cannot hold the loop.</para>
/// <para>Thread: see <see cref="VirtioDevice"/>.</para>
/// </summary>
public sealed unsafe class RngDevice : VirtioDevice, ISnapshottable<RngState>
{
    /// <summary>The most that one request is given; the driver asks again.</summary>
    public const uint MaxBytesPerRequest = 64 * 1024;

    private const int RequestsPerTurn = 64;

    private static readonly ushort[] s_queueSizes = [256];

    private readonly RateLimiter _limiter;
    private Virtqueue? _queue;
    private IVirtioInterrupt? _interrupt;
    private EventFd? _notifier;

    /// <param name="limits">Null for no limit.</param>
    public RngDevice(RateLimiterConfig? limits) => _limiter = new RateLimiter(limits);

    public override VirtioDeviceType Type => VirtioDeviceType.Rng;

    public override string Id => "rng";

    public override ulong OfferedFeatures => VirtioFeatures.Common;

    public override ReadOnlySpan<ushort> MaxQueueSizes => s_queueSizes;

    public override RngMetrics Metrics { get; } = new();

    /// <summary>The device has no configuration space.</summary>
    public override void ReadConfig(uint offset, Span<byte> destination) => destination.Clear();

    public override void Activate(DeviceActivation activation)
    {
        _queue = activation.Queues[0];
        _interrupt = activation.Interrupt;
        _notifier = activation.Notifiers[0];
        _limiter.Attach(activation.Loop, Gate, OnLimiterReady);
    }

    public override void Reset()
    {
        _limiter.Detach();
        _queue = null;
        _interrupt = null;
        _notifier = null;
    }

    public override void OnQueueNotified(int queueIndex)
    {
        Metrics.EntropyEventCount.Increment();
        if (!_limiter.IsBlocked)
        {
            Process();
        }
    }

    public RngState Save() => new() { RateLimiter = _limiter.Save() };

    public void Restore(RngState state)
    {
        if (state.RateLimiter is not null)
        {
            _limiter.Restore(state.RateLimiter);
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _limiter.Dispose();
        }
    }

    private void OnLimiterReady()
    {
        if (_queue is not null)
        {
            Metrics.RateLimiterEventCount.Increment();
            Process();
        }
    }

    private void Process()
    {
        Debug.Assert(_queue is not null && _interrupt is not null && _notifier is not null, "The transport calls active devices only.");
        Virtqueue queue = _queue;
        int left = RequestsPerTurn;
        bool throttled = false;
        do
        {
            queue.DisableNotifications();
            while (left > 0 && !throttled && queue.TryPop(out DescriptorChain chain))
            {
                left--;
                if (!TryServe(queue, chain))
                {
                    queue.UndoPop();
                    Metrics.EntropyRateLimiterThrottled.Increment();
                    throttled = true;
                }
            }

            queue.PublishUsed();
            if (queue.NeedsNotification())
            {
                _interrupt.SignalQueue(0);
            }

            if (throttled)
            {
                // The limiter's timer brings us back.
                return;
            }

            // Looking again counts too: a guest that adds only malformed chains must not hold the loop.
            if (--left <= 0)
            {
                _notifier.Signal();
                return;
            }
        }
        while (!queue.TryEnableNotifications());
    }

    /// <summary>Fills one request and gives it back; false, with nothing done, where the rate limiter says to wait.</summary>
    private bool TryServe(Virtqueue queue, in DescriptorChain chain)
    {
        uint wanted = Math.Min(chain.WritableBytes, MaxBytesPerRequest);
        if (!_limiter.TryConsume(wanted))
        {
            return false;
        }

        if (wanted == 0)
        {
            Metrics.EntropyEventFails.Increment();
        }

        uint filled = 0;
        foreach (iovec segment in chain.Writable)
        {
            uint part = (uint)Math.Min(segment.iov_len, wanted - filled);
            // SAFETY: the queue proved that the segment lies in guest memory, and part is not more than its length.
            if (part == 0 || !TryFill(new Span<byte>(segment.iov_base, (int)part)))
            {
                break;
            }

            filled += part;
        }

        Metrics.EntropyBytes.Add(filled);
        queue.AddUsed(chain.Head, filled);
        return true;
    }

    private bool TryFill(Span<byte> destination)
    {
        try
        {
            RandomBytes.Fill(destination);
            return true;
        }
        catch (LinuxException)
        {
            // The guest sees a request that brought nothing, and asks again or elsewhere.
            Metrics.HostRngFails.Increment();
            return false;
        }
    }
}
