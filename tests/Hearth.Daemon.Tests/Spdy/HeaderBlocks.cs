using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using Hearth.Programs.Daemon.Spdy;

namespace Hearth.Daemon.Tests.Spdy;

/// <summary>
/// A client's compressor of header blocks: one zlib stream with SPDY's dictionary before it, flushed after each block. The
/// dictionary is compressed first and its output dropped, so that what follows refers back into it, as a client's does.
/// </summary>
internal sealed class HeaderBlocks : IDisposable
{
    private readonly MemoryStream _output = new();
    private readonly DeflateStream _deflate;
    private bool _began;

    public HeaderBlocks(CompressionLevel level = CompressionLevel.SmallestSize)
    {
        _deflate = new DeflateStream(_output, level, leaveOpen: true);
        _deflate.Write(SpdyDictionary.Bytes);
        _deflate.Flush();
        _output.SetLength(0);
    }

    public static byte[] Plain(IReadOnlyCollection<KeyValuePair<string, string>> headers)
    {
        using var block = new MemoryStream();
        Number(block, headers.Count);
        foreach ((string name, string value) in headers)
        {
            Text(block, name);
            Text(block, value);
        }

        return block.ToArray();
    }

    public byte[] Compress(ReadOnlySpan<byte> block)
    {
        _output.SetLength(0);
        if (!_began)
        {
            _output.Write([0x78, 0xF9, 0xE3, 0xC6, 0xA7, 0xC2]);
            _began = true;
        }

        _deflate.Write(block);
        _deflate.Flush();
        return _output.ToArray();
    }

    public byte[] Compress(params IReadOnlyCollection<KeyValuePair<string, string>> headers) => Compress(Plain(headers));

    public void Dispose()
    {
        _deflate.Dispose();
        _output.Dispose();
    }

    private static void Text(MemoryStream block, string text)
    {
        Number(block, text.Length);
        block.Write(Encoding.Latin1.GetBytes(text));
    }

    private static void Number(MemoryStream block, int number)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteInt32BigEndian(bytes, number);
        block.Write(bytes);
    }
}
