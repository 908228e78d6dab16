using System.Diagnostics;
using Hearth.Linux;

namespace Hearth.Virtio.RateLimiting;

/// <summary>
/// Holds a device to so many bytes and requests a second. A device that may not go on stops, costs nothing, and is
/// called again when its tokens are there.
/// <para>Without limits it owns no timer and does no arithmetic. Thread: under the device's Gate; the timer comes on
/// the event loop and takes the Gate itself.</para>
/// </summary>
public sealed class RateLimiter : IEventHandler, IDisposable
{
    private const long NsPerSecond = 1_000_000_000;
    private const long MaxWaitUs = 3_600_000_000;

    private TokenBucket? _bandwidth;
    private TokenBucket? _ops;
    private TimerFd? _timer;
    private EventLoop? _loop;
    private EventRegistration _registration;
    private bool _registered;
    private Lock? _gate;
    private Action? _resume;

    public RateLimiter(RateLimiterConfig? config)
    {
        long now = NowNs();
        _bandwidth = TokenBucket.Create(config?.Bandwidth, now);
        _ops = TokenBucket.Create(config?.Ops, now);
    }

    /// <summary>A request was turned away and its timer has not come yet.</summary>
    public bool IsBlocked { get; private set; }

    /// <summary>Gives the limiter its loop; <paramref name="resume"/> is called there, under <paramref name="gate"/>, when the device may go on.</summary>
    public void Attach(EventLoop loop, Lock gate, Action resume)
    {
        _loop = loop;
        _gate = gate;
        _resume = resume;
    }

    /// <summary>Lets go of the loop; a pending wake-up is forgotten.</summary>
    public void Detach()
    {
        if (_registered)
        {
            _loop!.Remove(_registration);
            _registered = false;
        }

        _timer?.Disarm();
        IsBlocked = false;
        _loop = null;
        _resume = null;
    }

    /// <summary>Takes the tokens of one request that moves <paramref name="bytes"/>; if they are not there, takes none and sets the timer.</summary>
    public bool TryConsume(ulong bytes)
    {
        if (_bandwidth is null && _ops is null)
        {
            return true;
        }

        long now = NowNs();
        long waitBytes = 0;
        long waitOps = 0;
        bool bytesAreThere = _bandwidth is null || _bandwidth.CanTake(bytes, now, out waitBytes);
        bool opIsThere = _ops is null || _ops.CanTake(1, now, out waitOps);
        if (bytesAreThere && opIsThere)
        {
            _bandwidth?.Take(bytes);
            _ops?.Take(1);
            return true;
        }

        Block(Math.Max(waitBytes, waitOps));
        return false;
    }

    /// <summary>Replaces the buckets that <paramref name="config"/> names, each full; a waiting device tries again at once.</summary>
    public void Update(RateLimiterConfig config)
    {
        long now = NowNs();
        if (config.Bandwidth is not null)
        {
            _bandwidth = TokenBucket.Create(config.Bandwidth, now);
        }

        if (config.Ops is not null)
        {
            _ops = TokenBucket.Create(config.Ops, now);
        }

        if (IsBlocked)
        {
            _timer!.Arm(TimeSpan.Zero);
        }
    }

    /// <summary>The limits as they are now, as a configuration; null if there is none.</summary>
    public RateLimiterConfig? Config => _bandwidth is null && _ops is null ? null : new RateLimiterConfig(_bandwidth?.Config, _ops?.Config);

    public RateLimiterState? Save()
    {
        long now = NowNs();
        return _bandwidth is null && _ops is null ? null : new RateLimiterState(_bandwidth?.Save(now), _ops?.Save(now));
    }

    /// <summary>Takes over saved buckets, configuration and level.</summary>
    public void Restore(RateLimiterState state)
    {
        long now = NowNs();
        _bandwidth = TokenBucket.Create(state.Bandwidth?.Config, now);
        _ops = TokenBucket.Create(state.Ops?.Config, now);
        if (state.Bandwidth is not null)
        {
            _bandwidth?.Restore(state.Bandwidth);
        }

        if (state.Ops is not null)
        {
            _ops?.Restore(state.Ops);
        }
    }

    public void OnReady(EpollEvents events)
    {
        Lock? gate = _gate;
        if (gate is null)
        {
            return;
        }

        lock (gate)
        {
            // A reset, or another life of the device, may have come between the tick and the lock.
            if (_timer is null || _timer.Drain() == 0 || !IsBlocked)
            {
                return;
            }

            IsBlocked = false;
            _resume?.Invoke();
        }
    }

    public void Dispose()
    {
        Detach();
        _timer?.Dispose();
        _timer = null;
    }

    private void Block(long waitNs)
    {
        Debug.Assert(_loop is not null, "Only an active device asks for tokens.");
        _timer ??= new TimerFd();
        if (!_registered)
        {
            _registration = _loop.Add(_timer, EpollEvents.In, this);
            _registered = true;
        }

        IsBlocked = true;
        // A far-off time is looked at again on the way.
        _timer.Arm(TimeSpan.FromMicroseconds(Math.Min(((waitNs - 1) / 1000) + 1, MaxWaitUs)));
    }

    private static long NowNs() => Stopwatch.GetTimestamp() * (NsPerSecond / Stopwatch.Frequency);
}
