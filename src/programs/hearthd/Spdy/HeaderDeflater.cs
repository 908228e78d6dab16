using System.Buffers.Binary;

namespace Hearth.Programs.Daemon.Spdy;

/// <summary>
/// Writes header blocks. This side opens no streams, and its replies have no headers: what it has to compress is the number
/// zero, which it stores. The empty block behind it is what readers wait for to give out what they have (zlib's sync flush).
/// </summary>
internal sealed class HeaderDeflater
{
    private bool _began;

    /// <summary>The compressed block without headers.</summary>
    public byte[] Empty()
    {
        const int ZlibHeaderBytes = 6;
        var block = new byte[(_began ? 0 : ZlibHeaderBytes) + (2 * StoredBlock.HeaderBytes) + 4];
        Span<byte> rest = block;
        if (!_began)
        {
            // RFC 1950 §2.2: deflate with a window of 32 KiB, a dictionary follows; 0x7820 is a multiple of 31.
            rest[0] = 0x78;
            rest[1] = 0x20;
            BinaryPrimitives.WriteUInt32BigEndian(rest[2..], SpdyDictionary.Adler32);
            rest = rest[ZlibHeaderBytes..];
            _began = true;
        }

        rest = rest[StoredBlock.Write(rest, [0, 0, 0, 0])..];
        StoredBlock.Write(rest, []);
        return block;
    }
}
