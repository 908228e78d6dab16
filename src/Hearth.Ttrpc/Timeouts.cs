namespace Hearth.Ttrpc;

/// <summary>Time limits on the wire are nanoseconds in 64 bits; timers here take some 49 days.</summary>
internal static class Timeouts
{
    private static readonly TimeSpan s_longest = TimeSpan.FromDays(49);

    public static TimeSpan FromNanoseconds(long nanoseconds)
    {
        TimeSpan time = TimeSpan.FromTicks(Math.Max(1, nanoseconds / TimeSpan.NanosecondsPerTick));
        return time < s_longest ? time : s_longest;
    }

    public static long ToNanoseconds(TimeSpan time) => (time < s_longest ? time : s_longest).Ticks * TimeSpan.NanosecondsPerTick;
}
