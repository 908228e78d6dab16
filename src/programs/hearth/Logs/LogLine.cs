using System.Globalization;
using System.Text;

namespace Hearth.Programs.Hearth.Logs;

/// <summary>
/// One record of a CRI log: <c>TIME STREAM TAGS CONTENT</c>, where the first of the tags (separated by colons) is F for a whole
/// line or its end, P for a piece that goes on. Source: Kubernetes' kubelet-cri-logging design.
/// </summary>
internal readonly ref struct LogLine
{
    private LogLine(DateTimeOffset time, ReadOnlySpan<byte> timeText, bool isError, bool isPartial, ReadOnlySpan<byte> content)
    {
        Time = time;
        TimeText = timeText;
        IsError = isError;
        IsPartial = isPartial;
        Content = content;
    }

    public DateTimeOffset Time { get; }

    public ReadOnlySpan<byte> TimeText { get; }

    /// <summary>Of standard error.</summary>
    public bool IsError { get; }

    /// <summary>The line goes on in the next record of its stream.</summary>
    public bool IsPartial { get; }

    /// <summary>Without the line's end, which is not part of a partial one.</summary>
    public ReadOnlySpan<byte> Content { get; }

    /// <param name="record">Without its line feed.</param>
    /// <param name="line">What it is.</param>
    /// <returns>False if it is none.</returns>
    public static bool TryParse(ReadOnlySpan<byte> record, out LogLine line)
    {
        line = default;
        if (!TryTake(ref record, out ReadOnlySpan<byte> time) || !TryTake(ref record, out ReadOnlySpan<byte> stream))
        {
            return false;
        }

        // A record of an empty line may end after its tag.
        ReadOnlySpan<byte> tags = TryTake(ref record, out ReadOnlySpan<byte> taken) ? taken : Rest(ref record);
        int colon = tags.IndexOf((byte)':');
        ReadOnlySpan<byte> tag = colon < 0 ? tags : tags[..colon];
        bool isError = stream.SequenceEqual("stderr"u8);
        bool isPartial = tag.SequenceEqual("P"u8);
        if ((!isError && !stream.SequenceEqual("stdout"u8)) || (!isPartial && !tag.SequenceEqual("F"u8)) || time.Length > 64
            || !DateTimeOffset.TryParse(Encoding.ASCII.GetString(time), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset parsed))
        {
            return false;
        }

        line = new LogLine(parsed, time, isError, isPartial, record);
        return true;
    }

    private static bool TryTake(scoped ref ReadOnlySpan<byte> rest, out ReadOnlySpan<byte> word)
    {
        int space = rest.IndexOf((byte)' ');
        word = space < 0 ? default : rest[..space];
        rest = space < 0 ? rest : rest[(space + 1)..];
        return space >= 0;
    }

    private static ReadOnlySpan<byte> Rest(scoped ref ReadOnlySpan<byte> rest)
    {
        ReadOnlySpan<byte> all = rest;
        rest = default;
        return all;
    }
}
