using System.Buffers.Binary;

namespace Hearth.Agent.Protocol;

/// <summary>
/// The header of a connection that becomes a TCP connection to a port of the guest's loopback interface: <c>HPF1</c> and the
/// port, two bytes, big-endian. The answer is one byte, as <see cref="StdioReply"/>: Ok, and what follows is the connection;
/// NotFound, nobody listens there; Busy, too many connections.
/// </summary>
/// <param name="Port">On 127.0.0.1, or ::1.</param>
public readonly record struct PortHandshake(ushort Port)
{
    /// <summary>Bytes, always.</summary>
    public const int Length = 6;

    private static ReadOnlySpan<byte> Magic => "HPF1"u8;

    public byte[] ToBytes() => [.. Magic, (byte)(Port >> 8), (byte)Port];

    /// <summary>Whether these bytes may become a header: they are as long as one, or shorter.</summary>
    public static bool IsBegunBy(ReadOnlySpan<byte> bytes) => Magic.StartsWith(bytes[..Math.Min(bytes.Length, Magic.Length)]);

    /// <summary>Reads a whole header; false if it is none, or names port 0.</summary>
    public static bool TryParse(ReadOnlySpan<byte> bytes, out PortHandshake handshake)
    {
        handshake = bytes.Length == Length ? new PortHandshake(BinaryPrimitives.ReadUInt16BigEndian(bytes[Magic.Length..])) : default;
        return handshake.Port != 0 && bytes.StartsWith(Magic);
    }
}
