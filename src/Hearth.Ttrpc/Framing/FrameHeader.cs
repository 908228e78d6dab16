using System.Buffers.Binary;

namespace Hearth.Ttrpc.Framing;

internal enum MessageType : byte
{
    Request = 1,
    Response = 2,
    Data = 3,
}

[Flags]
internal enum FrameFlags : byte
{
    None = 0,

    /// <summary>The sender sends nothing more on this stream.</summary>
    RemoteClosed = 1,

    /// <summary>On a request: data frames follow.</summary>
    RemoteOpen = 2,

    /// <summary>On a data frame: it carries no message, not even an empty one.</summary>
    NoData = 4,
}

/// <summary>
/// The ten bytes before each payload: big-endian length of the payload and stream id, type, flags.
/// Source: containerd/ttrpc PROTOCOL.md.
/// </summary>
internal readonly record struct FrameHeader(uint Length, uint StreamId, MessageType Type, FrameFlags Flags)
{
    public const int Size = 10;

    /// <summary>The longest payload that is sent or accepted, in bytes.</summary>
    public const int MaxLength = 4 << 20;

    public static FrameHeader Read(ReadOnlySpan<byte> bytes) => new(
        BinaryPrimitives.ReadUInt32BigEndian(bytes),
        BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]),
        (MessageType)bytes[8],
        (FrameFlags)bytes[9]);

    public void Write(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt32BigEndian(bytes, Length);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[4..], StreamId);
        bytes[8] = (byte)Type;
        bytes[9] = (byte)Flags;
    }
}
