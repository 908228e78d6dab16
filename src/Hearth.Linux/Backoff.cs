using System.Diagnostics;

namespace Hearth.Linux;

/// <summary>
/// The pauses of who has to look again and again at something that does not tell of its changes: an eighth of the time waited
/// so far, 1 ms at least and 50 ms at most, so that looking never takes from a slow machine what it needs to get there. Thread: one.
/// </summary>
/// <param name="limit">How long to wait in all.</param>
public sealed class Backoff(TimeSpan limit)
{
    private const int Share = 8;

    private static readonly TimeSpan s_least = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan s_most = TimeSpan.FromMilliseconds(50);

    private readonly long _start = Stopwatch.GetTimestamp();

    /// <summary>Whether the time is up.</summary>
    public bool IsOver => Stopwatch.GetElapsedTime(_start) > limit;

    /// <summary>How long to wait before the next look.</summary>
    public TimeSpan Pause => PauseAfter(Stopwatch.GetElapsedTime(_start));

    /// <summary>The pause when so much time has gone by.</summary>
    public static TimeSpan PauseAfter(TimeSpan elapsed)
    {
        TimeSpan pause = elapsed / Share;
        return pause < s_least ? s_least : pause > s_most ? s_most : pause;
    }
}
