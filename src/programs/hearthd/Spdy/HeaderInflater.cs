using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;

namespace Hearth.Programs.Daemon.Spdy;

/// <summary>
/// Reads header blocks: all those of a connection are one zlib stream that begins with SPDY's dictionary.
/// <para>The BCL's inflate takes no dictionary. To inflate, a dictionary is nothing but what came out before: it is given it
/// as a stored block of the stream itself, whose output is dropped. What the peer sends is then inflated by zlib, bounded
/// here. docs/decisions/0019.</para>
/// <para>Thread: one at a time.</para>
/// </summary>
internal sealed class HeaderInflater : IDisposable
{
    public const int MaxHeaders = 64;
    public const int MaxNameBytes = 256;
    public const int MaxValueBytes = 4096;

    /// <summary>Of all names and values of a block.</summary>
    public const int MaxBlockBytes = 16 * 1024;

    // CMF, FLG and the dictionary's identifier.
    private const int ZlibHeaderBytes = 6;
    private const int FlagDictionary = 0x20;
    private const int MethodDeflate = 8;

    private readonly FrameFeed _feed = new();
    private readonly DeflateStream _inflate;
    private bool _began;

    public HeaderInflater()
    {
        _inflate = new DeflateStream(_feed, CompressionMode.Decompress);
        byte[] dictionary = SpdyDictionary.Bytes;
        var stored = new byte[StoredBlock.HeaderBytes + dictionary.Length];
        StoredBlock.Write(stored, dictionary);
        _feed.Give(stored);
        _inflate.ReadExactly(new byte[dictionary.Length]);
    }

    /// <summary>Reads the block of one frame.</summary>
    /// <returns>Names, which are lower case, and values; several values of a name have a zero byte between them.</returns>
    /// <exception cref="SpdyException">The block is broken, or larger than the limits.</exception>
    public Dictionary<string, string> Read(ReadOnlySpan<byte> compressed)
    {
        if (!_began)
        {
            compressed = CheckZlibHeader(compressed);
            _began = true;
        }

        _feed.Give(compressed.ToArray());
        try
        {
            Dictionary<string, string> headers = ReadBlock();
            return _feed.IsEmpty ? headers : throw new SpdyException("a header block with bytes behind its end");
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException)
        {
            throw new SpdyException($"a header block that does not decompress: {e.Message}");
        }
    }

    public void Dispose() => _inflate.Dispose();

    private static ReadOnlySpan<byte> CheckZlibHeader(ReadOnlySpan<byte> compressed)
    {
        // RFC 1950 §2.2.
        bool good = compressed.Length >= ZlibHeaderBytes
            && (compressed[0] & 0xF) == MethodDeflate
            && BinaryPrimitives.ReadUInt16BigEndian(compressed) % 31 == 0
            && (compressed[1] & FlagDictionary) != 0
            && BinaryPrimitives.ReadUInt32BigEndian(compressed[2..]) == SpdyDictionary.Adler32;
        return good ? compressed[ZlibHeaderBytes..] : throw new SpdyException("header blocks that are not compressed with SPDY 3's dictionary");
    }

    private Dictionary<string, string> ReadBlock()
    {
        int count = ReadNumber(MaxHeaders, "headers");
        var headers = new Dictionary<string, string>(count, StringComparer.OrdinalIgnoreCase);
        int total = 0;
        for (int i = 0; i < count; i++)
        {
            string name = ReadString(MaxNameBytes, ref total);
            if (name.Length == 0 || !headers.TryAdd(name, ReadString(MaxValueBytes, ref total)))
            {
                throw new SpdyException("a header without a name, or twice the same");
            }
        }

        return headers;
    }

    private string ReadString(int limit, ref int total)
    {
        int length = ReadNumber(limit, "bytes in a header");
        total += length;
        if (total > MaxBlockBytes)
        {
            throw new SpdyException($"a header block of more than {MaxBlockBytes} bytes");
        }

        var bytes = new byte[length];
        _inflate.ReadExactly(bytes);
        return Encoding.Latin1.GetString(bytes);
    }

    private int ReadNumber(int limit, string what)
    {
        Span<byte> bytes = stackalloc byte[4];
        _inflate.ReadExactly(bytes);
        uint number = BinaryPrimitives.ReadUInt32BigEndian(bytes);
        return number <= limit ? (int)number : throw new SpdyException($"{number} {what}, more than {limit}");
    }

    /// <summary>The bytes of one frame after the other; between them it seems to end.</summary>
    private sealed class FrameFeed : Stream
    {
        private ReadOnlyMemory<byte> _rest;

        public bool IsEmpty => _rest.IsEmpty;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public void Give(ReadOnlyMemory<byte> bytes) => _rest = bytes;

        public override int Read(Span<byte> buffer)
        {
            int count = Math.Min(buffer.Length, _rest.Length);
            _rest.Span[..count].CopyTo(buffer);
            _rest = _rest[count..];
            return count;
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
