using System.Buffers.Binary;

namespace Hearth.Programs.Daemon.Spdy;

/// <summary>Types of control frames. Source: SPDY protocol draft 3.1 §2.6.</summary>
internal enum SpdyFrameType : ushort
{
    SynStream = 1,
    SynReply = 2,
    RstStream = 3,
    Settings = 4,
    Ping = 6,
    GoAway = 7,
    Headers = 8,
    WindowUpdate = 9,
}

/// <summary>Why a stream is reset. Source: SPDY protocol draft 3.1 §2.6.3.</summary>
internal enum SpdyResetStatus : uint
{
    ProtocolError = 1,
    InvalidStream = 2,
    RefusedStream = 3,
    Cancel = 5,
}

/// <summary>The eight bytes before each frame.</summary>
internal readonly record struct SpdyFrameHeader
{
    /// <summary>Of both kinds of frames.</summary>
    public const int Size = 8;

    public const int Version = 3;

    /// <summary>FLAG_FIN, of data and of control frames.</summary>
    public const byte Fin = 1;

    /// <summary>FLAG_UNIDIRECTIONAL of SYN_STREAM.</summary>
    public const byte Unidirectional = 2;

    public required bool IsControl { get; init; }

    /// <summary>Of control frames.</summary>
    public SpdyFrameType Type { get; init; }

    /// <summary>Of data frames.</summary>
    public uint StreamId { get; init; }

    public byte Flags { get; init; }

    /// <summary>Bytes that follow.</summary>
    public int Length { get; init; }

    public bool IsFin => (Flags & Fin) != 0;

    /// <exception cref="SpdyException">A control frame of another version.</exception>
    public static SpdyFrameHeader Read(ReadOnlySpan<byte> bytes)
    {
        uint first = BinaryPrimitives.ReadUInt32BigEndian(bytes);
        uint second = BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]);
        var header = new SpdyFrameHeader
        {
            IsControl = first >> 31 != 0,
            StreamId = first & 0x7FFF_FFFF,
            Type = (SpdyFrameType)(first & 0xFFFF),
            Flags = (byte)(second >> 24),
            Length = (int)(second & 0xFF_FFFF),
        };
        return header.IsControl && (first >> 16 & 0x7FFF) != Version
            ? throw new SpdyException($"a control frame of SPDY version {first >> 16 & 0x7FFF}; this is version {Version}")
            : header;
    }

    public static void WriteControl(Span<byte> target, SpdyFrameType type, byte flags, int length)
    {
        BinaryPrimitives.WriteUInt32BigEndian(target, 0x8000_0000 | (Version << 16) | (uint)type);
        BinaryPrimitives.WriteUInt32BigEndian(target[4..], ((uint)flags << 24) | (uint)length);
    }

    public static void WriteData(Span<byte> target, uint streamId, byte flags, int length)
    {
        BinaryPrimitives.WriteUInt32BigEndian(target, streamId);
        BinaryPrimitives.WriteUInt32BigEndian(target[4..], ((uint)flags << 24) | (uint)length);
    }
}
