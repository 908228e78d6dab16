using System.IO.Compression;
using CsCheck;
using Hearth.Programs.Daemon.Spdy;

namespace Hearth.Daemon.Tests.Spdy;

/// <summary>Compressed headers, as clients send them and as they must not.</summary>
public class HeaderTests
{
    // Made with zlib itself (deflateSetDictionary, level 9, Z_SYNC_FLUSH after each), from blocks as below.
    private const string First = "78f9e3c6a7c202a62346703a2b294a4dcc851625aca9a08006000000ffff";
    private const string Second = "02a5474ca9e2126076c152fc7021dc8d9181182b00000000ffff";
    private const string Third = "02120c00000000ffff";

    [Fact]
    public void Dictionary_is_the_one_of_SPDY_3()
    {
        uint a = 1, b = 0;
        foreach (byte value in SpdyDictionary.Bytes)
        {
            a = (a + value) % 65521;
            b = (b + a) % 65521;
        }

        Assert.Equal(1423, SpdyDictionary.Bytes.Length);
        Assert.Equal(SpdyDictionary.Adler32, (b << 16) | a);
    }

    [Fact]
    public void What_zlib_compressed_with_the_dictionary_is_read_block_after_block()
    {
        using var inflater = new HeaderInflater();

        Assert.Equal(new() { ["streamtype"] = "error" }, inflater.Read(Convert.FromHexString(First)));
        Assert.Equal(
            new() { ["streamtype"] = "stdin", ["content-type"] = "text/plain", ["user-agent"] = "x" },
            inflater.Read(Convert.FromHexString(Second)));
        Assert.Empty(inflater.Read(Convert.FromHexString(Third)));
    }

    [Fact]
    public void Any_headers_within_the_limits_come_out_as_they_went_in()
    {
        Gen<string> name = Gen.Char['a', 'z'].Array[1, 40].Select(static letters => new string(letters));
        Gen<string> value = Gen.Char['\0', '\u00FF'].Array[0, 200].Select(static letters => new string(letters));
        Gen.Select(Gen.Enum<CompressionLevel>(), Gen.Dictionary(name, value)[0, 12].Array[1, 6]).Sample((level, blocks) =>
        {
            using var client = new HeaderBlocks(level);
            using var inflater = new HeaderInflater();
            foreach (Dictionary<string, string> block in blocks)
            {
                Assert.Equal(block, inflater.Read(client.Compress(block)));
            }
        });
    }

    [Theory]
    [InlineData("")]
    [InlineData("789c")]
    [InlineData("789ce3c6a7c2000000")]
    [InlineData("78f9e3c6a7c3")]
    [InlineData("78f9e3c6a7c2")]
    [InlineData("78f9e3c6a7c2ffffffffff")]
    public void What_is_no_such_stream_is_refused(string hex)
    {
        using var inflater = new HeaderInflater();

        Assert.Throws<SpdyException>(() => inflater.Read(Convert.FromHexString(hex)));
    }

    [Theory]
    [InlineData("7FFFFFFF")]
    [InlineData("FFFFFFFF")]
    [InlineData("00000041")]
    [InlineData("00000001 00000101")]
    [InlineData("00000001 00000001 61 FFFFFFFF")]
    [InlineData("00000001 00000001 61 00001001")]
    [InlineData("00000001 00000000 00000000")]
    [InlineData("00000002 00000001 61 00000000 00000001 61 00000000")]
    public void Blocks_beyond_the_limits_are_refused_before_they_cost_anything(string hex)
    {
        using var client = new HeaderBlocks();
        using var inflater = new HeaderInflater();

        Assert.Throws<SpdyException>(() => inflater.Read(client.Compress(Convert.FromHexString(hex.Replace(" ", "")))));
    }

    [Fact]
    public void A_block_of_many_large_values_ends_at_the_limit_of_the_whole()
    {
        using var client = new HeaderBlocks();
        using var inflater = new HeaderInflater();
        var headers = Enumerable.Range(0, 8).ToDictionary(static i => $"h{i}", static _ => new string('x', HeaderInflater.MaxValueBytes));

        Assert.Throws<SpdyException>(() => inflater.Read(client.Compress(headers)));
    }

    [Fact]
    public void An_empty_block_of_the_server_inflates_to_no_headers_each_time()
    {
        using var inflater = new HeaderInflater();
        var deflater = new HeaderDeflater();

        for (int i = 0; i < 3; i++)
        {
            Assert.Empty(inflater.Read(deflater.Empty()));
        }
    }
}
