namespace Hearth.Programs.Agent.Guest;

/// <summary>As much of DNS's messages as who hands them on has to know. Source: RFC 1035 §4.1, §4.2.1.</summary>
internal static class DnsMessage
{
    // What each resolver takes in a datagram, whether it has said that it takes more or not.
    private const int LongestDatagram = 512;
    private const int HeaderLength = 12;
    private const int FlagsAt = 2;
    private const byte Truncated = 0x02;

    /// <summary>An answer as a datagram: one that is too long says so, without its records, and is asked for again by TCP.</summary>
    public static ReadOnlyMemory<byte> ForDatagram(byte[] answer)
    {
        if (answer.Length <= LongestDatagram || QuestionEnd(answer) is not { } end)
        {
            return answer;
        }

        byte[] cut = answer[..end];
        cut[FlagsAt] |= Truncated;
        // The numbers of answers, authorities and additional records.
        cut.AsSpan(HeaderLength - 6, 6).Clear();
        return cut;
    }

    // Null: it is no message of one question.
    private static int? QuestionEnd(ReadOnlySpan<byte> message)
    {
        if (message.Length < HeaderLength || message[4] != 0 || message[5] != 1)
        {
            return null;
        }

        int at = HeaderLength;
        while (at < message.Length && message[at] is > 0 and < 0x40 and var label)
        {
            at += 1 + label;
        }

        // The name's end, type and class.
        int end = at + 5;
        return end <= message.Length && message[at] == 0 ? end : null;
    }
}
