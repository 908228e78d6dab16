using System.Buffers.Binary;
using Hearth.Vmm.Mmds.Tcp;

namespace Hearth.Vmm.Mmds;

/// <summary>Writes the frames the service sends. Source: RFC 826, RFC 791 §3.1, RFC 9293 §3.1.</summary>
internal static class FrameWriter
{
    public const int EthernetHeaderBytes = 14;
    public const int Ipv4HeaderBytes = 20;
    public const int ArpBytes = 28;

    /// <summary>The headers of a segment without options.</summary>
    public const int SegmentOverhead = EthernetHeaderBytes + Ipv4HeaderBytes + TcpSegment.HeaderBytes;

    public const ushort EtherTypeIpv4 = 0x0800;
    public const ushort EtherTypeArp = 0x0806;
    public const byte ProtocolTcp = 6;

    private const int MssOptionBytes = 4;
    private const ushort ArpReply = 2;

    // Answers never leave the link, and nothing should carry them further. Source: Firecracker mmds-design.md.
    private const byte TimeToLive = 1;

    /// <summary>Writes an ARP reply that says where <paramref name="localAddress"/> is; returns the frame's length.</summary>
    public static int WriteArpReply(Span<byte> frame, ulong localMac, uint localAddress, ulong peerMac, uint peerAddress)
    {
        WriteEthernet(frame, localMac, peerMac, EtherTypeArp);
        Span<byte> arp = frame[EthernetHeaderBytes..];
        BinaryPrimitives.WriteUInt64BigEndian(arp, 0x0001_0800_0604_0000 | ArpReply);
        WriteMac(arp[8..], localMac);
        BinaryPrimitives.WriteUInt32BigEndian(arp[14..], localAddress);
        WriteMac(arp[18..], peerMac);
        BinaryPrimitives.WriteUInt32BigEndian(arp[24..], peerAddress);
        return EthernetHeaderBytes + ArpBytes;
    }

    /// <summary>Writes a segment with all its headers and checksums; returns the frame's length.</summary>
    public static int WriteSegment(
        Span<byte> frame, ulong localMac, uint localAddress, TcpPeer peer, TcpHeader header, ReadOnlySpan<byte> payload)
    {
        int tcpHeaderBytes = TcpSegment.HeaderBytes + (header.Mss != 0 ? MssOptionBytes : 0);
        int tcpBytes = tcpHeaderBytes + payload.Length;
        WriteEthernet(frame, localMac, peer.Mac, EtherTypeIpv4);

        Span<byte> ip = frame.Slice(EthernetHeaderBytes, Ipv4HeaderBytes);
        ip.Clear();
        ip[0] = 0x45;
        BinaryPrimitives.WriteUInt16BigEndian(ip[2..], (ushort)(Ipv4HeaderBytes + tcpBytes));
        BinaryPrimitives.WriteUInt16BigEndian(ip[6..], 0x4000); // do not fragment
        ip[8] = TimeToLive;
        ip[9] = ProtocolTcp;
        BinaryPrimitives.WriteUInt32BigEndian(ip[12..], localAddress);
        BinaryPrimitives.WriteUInt32BigEndian(ip[16..], peer.Address);
        BinaryPrimitives.WriteUInt16BigEndian(ip[10..], InternetChecksum.Compute(ip));

        Span<byte> tcp = frame.Slice(EthernetHeaderBytes + Ipv4HeaderBytes, tcpBytes);
        BinaryPrimitives.WriteUInt16BigEndian(tcp, peer.LocalPort);
        BinaryPrimitives.WriteUInt16BigEndian(tcp[2..], peer.Port);
        BinaryPrimitives.WriteUInt32BigEndian(tcp[4..], header.Seq);
        BinaryPrimitives.WriteUInt32BigEndian(tcp[8..], header.Ack);
        tcp[12] = (byte)(tcpHeaderBytes / 4 << 4);
        tcp[13] = (byte)header.Flags;
        BinaryPrimitives.WriteUInt16BigEndian(tcp[14..], header.Window);
        BinaryPrimitives.WriteUInt32BigEndian(tcp[16..], 0);
        if (header.Mss != 0)
        {
            BinaryPrimitives.WriteUInt32BigEndian(tcp[20..], 0x0204_0000u | header.Mss);
        }

        payload.CopyTo(tcp[tcpHeaderBytes..]);
        BinaryPrimitives.WriteUInt16BigEndian(tcp[16..], InternetChecksum.ComputeTcp(localAddress, peer.Address, tcp));
        return EthernetHeaderBytes + Ipv4HeaderBytes + tcpBytes;
    }

    /// <summary>Reads a MAC address as a 48-bit number.</summary>
    public static ulong ReadMac(ReadOnlySpan<byte> bytes) =>
        ((ulong)BinaryPrimitives.ReadUInt16BigEndian(bytes) << 32) | BinaryPrimitives.ReadUInt32BigEndian(bytes[2..]);

    private static void WriteMac(Span<byte> bytes, ulong mac)
    {
        BinaryPrimitives.WriteUInt16BigEndian(bytes, (ushort)(mac >> 32));
        BinaryPrimitives.WriteUInt32BigEndian(bytes[2..], (uint)mac);
    }

    private static void WriteEthernet(Span<byte> frame, ulong source, ulong destination, ushort etherType)
    {
        WriteMac(frame, destination);
        WriteMac(frame[6..], source);
        BinaryPrimitives.WriteUInt16BigEndian(frame[12..], etherType);
    }
}
