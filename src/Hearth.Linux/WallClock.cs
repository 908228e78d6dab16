using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>The host's clocks by libc: no time zone data is loaded into the process. Thread: any.</summary>
public static unsafe class WallClock
{
    /// <summary>The length of what <see cref="FormatLocal"/> writes: <c>2026-11-23T21:00:00.000000000</c>.</summary>
    public const int LocalLength = 29;

    /// <summary>Microseconds of a clock of <see cref="Time"/>.</summary>
    public static ulong Microseconds(int clock)
    {
        timespec now;
        // SAFETY: `now` lives on this stack for the whole call.
        FileDescriptor.Check(Time.clock_gettime(clock, &now), "clock_gettime()");
        return ((ulong)now.tv_sec * 1_000_000) + ((ulong)now.tv_nsec / 1000);
    }

    /// <summary>Writes the local time with nanoseconds into the first <see cref="LocalLength"/> characters.</summary>
    public static void FormatLocal(Span<char> text)
    {
        timespec now;
        tm local;
        // SAFETY: both live on this stack for the whole calls; localtime_r keeps no pointer.
        FileDescriptor.Check(Time.clock_gettime(Time.CLOCK_REALTIME, &now), "clock_gettime()");
        if (Time.localtime_r(&now.tv_sec, &local) is null)
        {
            local = default;
        }

        text.TryWrite(
            $"{local.tm_year + 1900:D4}-{local.tm_mon + 1:D2}-{local.tm_mday:D2}T{local.tm_hour:D2}:{local.tm_min:D2}:{local.tm_sec:D2}.{now.tv_nsec:D9}",
            out _);
    }
}
