using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Hearth.Vmm.Mmds.Tcp;

/// <summary>The ones' complement sum of IPv4 and TCP. Source: RFC 1071.</summary>
internal static class InternetChecksum
{
    private const byte TcpProtocol = 6;

    /// <summary>The value for the checksum field, big-endian as read; over data with a right checksum in it: 0.</summary>
    public static ushort Compute(ReadOnlySpan<byte> data) => Fold(Sum(data));

    /// <summary>As <see cref="Compute"/>, over a TCP segment with its pseudo header. Source: RFC 9293 §3.1.</summary>
    public static ushort ComputeTcp(uint source, uint destination, ReadOnlySpan<byte> segment)
    {
        Span<byte> pseudo = stackalloc byte[12];
        BinaryPrimitives.WriteUInt32BigEndian(pseudo, source);
        BinaryPrimitives.WriteUInt32BigEndian(pseudo[4..], destination);
        pseudo[8] = 0;
        pseudo[9] = TcpProtocol;
        BinaryPrimitives.WriteUInt16BigEndian(pseudo[10..], (ushort)segment.Length);
        return Fold(Sum(pseudo) + Sum(segment));
    }

    // The sum does not care about byte order (RFC 1071 §2 (B)), so it is taken in the host's, four bytes at a time.
    private static ulong Sum(ReadOnlySpan<byte> data)
    {
        ulong sum = 0;
        ReadOnlySpan<uint> words = MemoryMarshal.Cast<byte, uint>(data);
        foreach (uint word in words)
        {
            sum += word;
        }

        ReadOnlySpan<byte> rest = data[(words.Length * sizeof(uint))..];
        for (int i = 0; i < rest.Length; i++)
        {
            sum += (ulong)rest[i] << (8 * (i & 1));
        }

        return sum;
    }

    private static ushort Fold(ulong sum)
    {
        while (sum >> 16 != 0)
        {
            sum = (sum & 0xFFFF) + (sum >> 16);
        }

        return BinaryPrimitives.ReverseEndianness((ushort)~sum);
    }
}
