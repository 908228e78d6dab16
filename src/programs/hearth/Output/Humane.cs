using System.Globalization;

namespace Hearth.Programs.Hearth.Output;

/// <summary>Numbers and texts as people read them.</summary>
internal static class Humane
{
    private const int ShortIdLength = 12;
    private static readonly string[] s_units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

    /// <summary>An id's first twelve digits, without the name of its digest.</summary>
    public static string ShortId(string id)
    {
        string digits = id[(id.IndexOf(':') + 1)..];
        return digits.Length > ShortIdLength ? digits[..ShortIdLength] : digits;
    }

    public static string Bytes(ulong bytes)
    {
        double value = bytes;
        int unit = 0;
        while (value >= 1024 && unit < s_units.Length - 1)
        {
            value /= 1024;
            unit++;
        }

        return unit == 0 ? $"{bytes} B" : string.Create(CultureInfo.InvariantCulture, $"{value:0.0} {s_units[unit]}");
    }

    /// <summary>How long ago something was, in its largest unit.</summary>
    public static string Span(TimeSpan span) => span switch
    {
        { TotalSeconds: < 1 } => "less than a second",
        { TotalSeconds: < 60 } => Count((long)span.TotalSeconds, "second"),
        { TotalMinutes: < 60 } => Count((long)span.TotalMinutes, "minute"),
        { TotalHours: < 48 } => Count((long)span.TotalHours, "hour"),
        { TotalDays: < 14 } => Count((long)span.TotalDays, "day"),
        { TotalDays: < 60 } => Count((long)(span.TotalDays / 7), "week"),
        { TotalDays: < 730 } => Count((long)(span.TotalDays / 30), "month"),
        _ => Count((long)(span.TotalDays / 365), "year"),
    };

    /// <summary>CRI's nanoseconds since 1970; null for its "not yet", 0.</summary>
    public static DateTimeOffset? Time(long unixNanoseconds) =>
        unixNanoseconds > 0 ? DateTimeOffset.UnixEpoch.AddTicks(unixNanoseconds / TimeSpan.NanosecondsPerTick) : null;

    public static string Ago(long unixNanoseconds, DateTimeOffset now) => Time(unixNanoseconds) is { } time ? Span(now - time) + " ago" : "-";

    /// <summary>A text without control characters: names and messages may come from somebody who means ill.</summary>
    public static string Printable(string text) =>
        text.Any(static c => char.IsControl(c)) ? string.Concat(text.Select(static c => char.IsControl(c) ? '\uFFFD' : c)) : text;

    private static string Count(long count, string unit) => count == 1 ? $"1 {unit}" : $"{count} {unit}s";
}
