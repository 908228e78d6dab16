namespace Hearth.Programs.Hearth.Logs;

/// <summary>Where the last lines of a log begin.</summary>
internal static class LogTail
{
    private const int BlockBytes = 64 * 1024;

    /// <param name="log">The log; its position is left where it happens to be.</param>
    /// <param name="lines">How many whole lines, of both streams together; a line in pieces is one.</param>
    /// <returns>The offset of the first of them; 0 if there are not more.</returns>
    public static long OffsetOf(Stream log, long lines)
    {
        if (lines <= 0)
        {
            return log.Length;
        }

        var block = new byte[BlockBytes];
        long end = log.Length;
        // The record under the cursor ends here: after its line feed.
        long recordEnd = end;
        long found = 0;
        while (end > 0)
        {
            int size = (int)Math.Min(BlockBytes, end);
            log.Position = end - size;
            log.ReadExactly(block, 0, size);
            for (int i = size - 1; i >= 0; i--)
            {
                if (block[i] != '\n')
                {
                    continue;
                }

                long start = end - size + i + 1;
                if (start < recordEnd)
                {
                    if (IsLineEnd(log, start, recordEnd) && ++found > lines)
                    {
                        return recordEnd;
                    }

                    recordEnd = start;
                }
            }

            end -= size;
        }

        return recordEnd > 0 && IsLineEnd(log, 0, recordEnd) && found + 1 > lines ? recordEnd : 0;
    }

    // Only the head of a record is read: its tags are within.
    private static bool IsLineEnd(Stream log, long start, long end)
    {
        Span<byte> head = stackalloc byte[128];
        long position = log.Position;
        log.Position = start;
        int read = log.ReadAtLeast(head[..(int)Math.Min(head.Length, end - start)], 1, throwOnEndOfStream: false);
        log.Position = position;
        ReadOnlySpan<byte> record = head[..read];
        return !LogLine.TryParse(record.TrimEnd((byte)'\n'), out LogLine line) || !line.IsPartial;
    }
}
