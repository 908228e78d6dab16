using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>A one-shot or periodic monotonic timer as a descriptor, for an <see cref="EventLoop"/>. Source: timerfd_create(2).</summary>
public sealed unsafe class TimerFd : FileDescriptor
{
    public TimerFd()
        : base(Check(SysEpoll.timerfd_create(SysEpoll.CLOCK_MONOTONIC, SysEpoll.TFD_CLOEXEC | SysEpoll.TFD_NONBLOCK), "timerfd_create()"))
    {
    }

    /// <summary>Fires after <paramref name="delay"/>, then each <paramref name="interval"/> if that is not zero.</summary>
    public void Arm(TimeSpan delay, TimeSpan interval = default)
    {
        // A value of all zeros would disarm the timer: "now" is one nanosecond away.
        long ns = Math.Max(1, (long)delay.TotalNanoseconds);
        Set(ns, (long)interval.TotalNanoseconds);
    }

    /// <summary>Stops the timer; a tick not yet taken is forgotten.</summary>
    public void Disarm() => Set(0, 0);

    /// <summary>Takes the number of ticks since the last call; 0 if none.</summary>
    public ulong Drain()
    {
        ulong ticks;
        // SAFETY: `ticks` lives on this stack for the whole call; 8 bytes is what timerfd asks for.
        return Unistd.read(Number, &ticks, sizeof(ulong)) == sizeof(ulong) ? ticks : 0;
    }

    private void Set(long valueNs, long intervalNs)
    {
        const long NsPerSecond = 1_000_000_000;
        var spec = new itimerspec
        {
            it_value_sec = valueNs / NsPerSecond,
            it_value_nsec = valueNs % NsPerSecond,
            it_interval_sec = intervalNs / NsPerSecond,
            it_interval_nsec = intervalNs % NsPerSecond,
        };
        // SAFETY: `spec` lives on this stack for the whole call.
        Check(SysEpoll.timerfd_settime(Number, 0, &spec, null), "timerfd_settime()");
    }
}
