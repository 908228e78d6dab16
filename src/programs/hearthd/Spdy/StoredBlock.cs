using System.Buffers.Binary;

namespace Hearth.Programs.Daemon.Spdy;

/// <summary>Blocks of a deflate stream that hold their bytes as they are. Source: RFC 1951 §3.2.4.</summary>
internal static class StoredBlock
{
    /// <summary>Block type, length and the length's complement; it begins on a byte's boundary here.</summary>
    public const int HeaderBytes = 5;

    /// <summary>A block that is not the stream's last.</summary>
    /// <returns>The bytes written.</returns>
    public static int Write(Span<byte> target, ReadOnlySpan<byte> content)
    {
        target[0] = 0;
        BinaryPrimitives.WriteUInt16LittleEndian(target[1..], checked((ushort)content.Length));
        BinaryPrimitives.WriteUInt16LittleEndian(target[3..], (ushort)~content.Length);
        content.CopyTo(target[HeaderBytes..]);
        return HeaderBytes + content.Length;
    }
}
