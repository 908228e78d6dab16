using CsCheck;

namespace Hearth.Agent.Protocol.Tests;

public sealed class StdioHandshakeTests
{
    private static readonly Gen<StdioHandshake> s_handshakes =
        Gen.Select(Gen.String[0, 60], Gen.String[0, 60], Gen.Enum<StdioStream>(), static (container, exec, stream) =>
            new StdioHandshake(Utf8(container), Utf8(exec), stream));

    [Fact]
    public void A_header_has_these_bytes() => Assert.Equal(
        (byte[])[.. "HIO1"u8, 2, 3, .. "pod"u8, 1, .. "x"u8],
        new StdioHandshake("pod", "x", StdioStream.Stderr).ToBytes());

    [Fact]
    public void A_header_is_whole_with_its_last_byte_and_not_before() => s_handshakes.Sample(static handshake =>
    {
        byte[] bytes = handshake.ToBytes();
        for (int length = 0; length < bytes.Length; length++)
        {
            Assert.Equal(0, StdioHandshake.TryParse(bytes.AsSpan(0, length), out _));
        }

        Assert.Equal(bytes.Length, StdioHandshake.TryParse([.. bytes, 1, 2, 3], out StdioHandshake? parsed));
        Assert.Equal(handshake, parsed);
    });

    [Fact]
    public void Any_bytes_are_a_header_or_not_and_never_longer_than_the_longest() => Gen.Byte.Array[0, 600].Sample(static bytes =>
    {
        byte[] likely = [.. "HIO1"u8, .. bytes];
        int length = StdioHandshake.TryParse(likely, out StdioHandshake? parsed);
        Assert.Equal(length > 0, parsed is not null);
        Assert.InRange(length, -1, StdioHandshake.MaxLength);
        Assert.False(length == 0 && likely.Length >= StdioHandshake.MaxLength);
    });

    [Theory]
    [InlineData("GET / HTTP")]
    [InlineData("HIO2")]
    [InlineData("HIO1\u0003")]
    public void What_begins_otherwise_is_no_header(string text) =>
        Assert.Equal(-1, StdioHandshake.TryParse(System.Text.Encoding.UTF8.GetBytes(text), out _));

    [Fact]
    public void An_id_of_256_bytes_is_refused() =>
        Assert.Throws<ArgumentException>(() => new StdioHandshake(new string('x', 256), "", StdioStream.Stdin).ToBytes());

    // Lone surrogates do not survive the way through UTF-8.
    private static string Utf8(string text) => System.Text.Encoding.UTF8.GetString(System.Text.Encoding.UTF8.GetBytes(text));
}
