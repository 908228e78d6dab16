using Hearth.Linux;
using Hearth.Linux.Native;

namespace Hearth.Programs.Jailer;

/// <summary>The two clocks that the monitor measures its own start by, in microseconds.</summary>
internal readonly record struct JailerClock(ulong MonotonicUs, ulong CpuUs)
{
    public static JailerClock Now() =>
        new(WallClock.Microseconds(Time.CLOCK_MONOTONIC), WallClock.Microseconds(Time.CLOCK_PROCESS_CPUTIME_ID));
}
