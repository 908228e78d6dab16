using System.Globalization;

namespace Hearth.Programs.Hearth.Logs;

/// <summary>A point in time as people give it: <c>10m</c> ago, or a date.</summary>
internal static class Moment
{
    /// <exception cref="CommandLineException">It is neither.</exception>
    public static DateTimeOffset Parse(string text, DateTimeOffset now)
    {
        if (TryParseSpan(text, out TimeSpan ago))
        {
            return now - ago;
        }

        if (long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long unixSeconds) && unixSeconds <= 253402300799)
        {
            return DateTimeOffset.FromUnixTimeSeconds(unixSeconds);
        }

        return DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeLocal, out DateTimeOffset time)
            ? time
            : throw new CommandLineException($"\"{text}\" is no time: write how long ago it was (90s, 10m, 3h, 2d, 1h30m), a date (2026-11-25T12:00:00Z), or seconds since 1970.");
    }

    /// <summary>Reads <c>1h30m</c>: numbers, each with s, m, h or d.</summary>
    public static bool TryParseSpan(string text, out TimeSpan span)
    {
        span = TimeSpan.Zero;
        double seconds = 0;
        int start = 0;
        for (int i = 0; i < text.Length; i++)
        {
            double unit = text[i] switch { 's' => 1, 'm' => 60, 'h' => 3600, 'd' => 86400, _ => 0 };
            if (unit == 0)
            {
                continue;
            }

            if (!double.TryParse(text.AsSpan(start, i - start), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double value))
            {
                return false;
            }

            seconds += value * unit;
            start = i + 1;
        }

        if (text.Length == 0 || start != text.Length || seconds > TimeSpan.FromDays(36500).TotalSeconds)
        {
            return false;
        }

        span = TimeSpan.FromSeconds(seconds);
        return true;
    }
}
