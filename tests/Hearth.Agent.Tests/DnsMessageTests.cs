using CsCheck;
using Hearth.Programs.Agent.Guest;

namespace Hearth.Agent.Tests;

public sealed class DnsMessageTests
{
    // A question for "a.bc", type A: 12 bytes, the name in 6, type and class.
    private static readonly byte[] s_head = [0x12, 0x34, 0x81, 0x80, 0, 1, 0, 9, 0, 2, 0, 3, 1, (byte)'a', 2, (byte)'b', (byte)'c', 0, 0, 1, 0, 1];

    [Fact]
    public void An_answer_that_fits_is_handed_on_as_it_is()
    {
        byte[] answer = [.. s_head, .. new byte[512 - s_head.Length]];

        Assert.Equal(answer, DnsMessage.ForDatagram(answer).ToArray());
    }

    [Fact]
    public void A_longer_one_says_so_and_has_its_question_alone()
    {
        byte[] cut = DnsMessage.ForDatagram([.. s_head, .. new byte[600]]).ToArray();

        Assert.Equal([0x12, 0x34, 0x83, 0x80, 0, 1, 0, 0, 0, 0, 0, 0, .. s_head[12..]], cut);
    }

    [Fact]
    public void Whatever_comes_is_at_most_what_it_was() => Gen.Byte.Array[0, 700].Sample(static answer =>
    {
        ReadOnlyMemory<byte> datagram = DnsMessage.ForDatagram([.. answer]);
        return datagram.Length == answer.Length ? datagram.Span.SequenceEqual(answer) : answer.Length > 512 && datagram.Length >= 17 && datagram.Length < answer.Length;
    });
}
