using System.Buffers.Binary;

namespace Hearth.Vmm.Mmds.Tcp;

/// <summary>A received segment, all of whose lengths were checked. Source: RFC 9293 §3.1, §3.2.</summary>
internal readonly ref struct TcpSegment
{
    public const int HeaderBytes = 20;

    /// <summary>What a peer takes that does not say. Source: RFC 9293 §3.7.1.</summary>
    public const ushort DefaultMss = 536;

    private const byte OptionEnd = 0;
    private const byte OptionNoOperation = 1;
    private const byte OptionMss = 2;

    private TcpSegment(ReadOnlySpan<byte> bytes, int headerBytes)
    {
        SourcePort = BinaryPrimitives.ReadUInt16BigEndian(bytes);
        DestinationPort = BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]);
        Seq = BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]);
        Ack = BinaryPrimitives.ReadUInt32BigEndian(bytes[8..]);
        Flags = (TcpFlags)bytes[13];
        Window = BinaryPrimitives.ReadUInt16BigEndian(bytes[14..]);
        Options = bytes[HeaderBytes..headerBytes];
        Payload = bytes[headerBytes..];
    }

    public ushort SourcePort { get; }

    public ushort DestinationPort { get; }

    public uint Seq { get; }

    /// <summary>Meaningful with <see cref="TcpFlags.Ack"/>.</summary>
    public uint Ack { get; }

    public TcpFlags Flags { get; }

    /// <summary>Bytes; unscaled, as this end never offers scaling.</summary>
    public ushort Window { get; }

    public ReadOnlySpan<byte> Payload { get; }

    /// <summary>Sequence numbers it takes up.</summary>
    public uint Length => (uint)Payload.Length + (Has(TcpFlags.Syn) ? 1u : 0) + (Has(TcpFlags.Fin) ? 1u : 0);

    private ReadOnlySpan<byte> Options { get; }

    /// <summary>Checks the header against the bytes there are.</summary>
    public static bool TryParse(ReadOnlySpan<byte> bytes, out TcpSegment segment)
    {
        segment = default;
        if (bytes.Length < HeaderBytes)
        {
            return false;
        }

        int headerBytes = (bytes[12] >> 4) * 4;
        if (headerBytes < HeaderBytes || headerBytes > bytes.Length)
        {
            return false;
        }

        segment = new TcpSegment(bytes, headerBytes);
        return true;
    }

    public bool Has(TcpFlags flags) => (Flags & flags) == flags;

    /// <summary>The peer's maximum segment size; the default if it names none, or its options make no sense.</summary>
    public ushort ReadMss()
    {
        ReadOnlySpan<byte> options = Options;
        while (!options.IsEmpty && options[0] != OptionEnd)
        {
            if (options[0] == OptionNoOperation)
            {
                options = options[1..];
                continue;
            }

            if (options.Length < 2 || options[1] < 2 || options[1] > options.Length)
            {
                break;
            }

            if (options[0] == OptionMss && options[1] == 4)
            {
                return BinaryPrimitives.ReadUInt16BigEndian(options[2..]);
            }

            options = options[options[1]..];
        }

        return DefaultMss;
    }
}
