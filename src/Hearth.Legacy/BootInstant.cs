using System.Diagnostics;

namespace Hearth.Legacy;

/// <summary>A point in time on the two clocks a boot is measured with.</summary>
/// <param name="MonotonicUs">Microseconds of the host's monotonic clock.</param>
/// <param name="CpuUs">Microseconds of CPU that this process has used, all threads, user and system.</param>
public readonly record struct BootInstant(long MonotonicUs, long CpuUs)
{
    public static BootInstant Now() => new(
        (long)(Stopwatch.GetTimestamp() * (1e6 / Stopwatch.Frequency)),
        Environment.CpuUsage.TotalTime.Ticks / TimeSpan.TicksPerMicrosecond);
}
