using System.Buffers.Binary;
using Hearth.Vmm.Mmds;
using Hearth.Vmm.Mmds.Tcp;

namespace Hearth.Vmm.Tests.Mmds;

/// <summary>Frames as a guest would send them to the service, and what it sends back taken apart with all checks.</summary>
internal static class GuestFrames
{
    public const uint ServiceAddress = 0xA9FE_A9FE;
    public const uint GuestAddress = 0xAC10_0002;
    public const ulong ServiceMac = 0x0601_2345_6701;
    public const ulong GuestMac = 0x0200_0000_0001;

    public static byte[] Segment(TcpHeader header, ReadOnlySpan<byte> payload = default, ushort port = 40000, ushort servicePort = 80)
    {
        var frame = new byte[FrameWriter.SegmentOverhead + 4 + payload.Length];
        int length = FrameWriter.WriteSegment(
            frame, GuestMac, GuestAddress, new TcpPeer(ServiceMac, ServiceAddress, servicePort, port), header, payload);
        return frame[..length];
    }

    public static byte[] ArpRequest(uint target = ServiceAddress)
    {
        var frame = new byte[60];
        FrameWriter.WriteArpReply(frame, GuestMac, GuestAddress, 0, target);
        frame.AsSpan(0, 6).Fill(0xFF);
        frame[21] = 1; // request
        return frame;
    }

    /// <summary>Recomputes both checksums, after a test has changed something.</summary>
    public static byte[] Repair(byte[] frame)
    {
        Span<byte> ip = frame.AsSpan(14);
        int headerBytes = (ip[0] & 15) * 4;
        ip[10..12].Clear();
        BinaryPrimitives.WriteUInt16BigEndian(ip[10..], InternetChecksum.Compute(ip[..headerBytes]));
        Span<byte> tcp = ip[headerBytes..];
        tcp[16..18].Clear();
        BinaryPrimitives.WriteUInt16BigEndian(tcp[16..], InternetChecksum.ComputeTcp(GuestAddress, ServiceAddress, tcp));
        return frame;
    }

    /// <summary>Checks a frame of the service from end to end and returns its segment.</summary>
    public static TcpSegment Open(ReadOnlySpan<byte> frame)
    {
        Assert.Equal(GuestMac, FrameWriter.ReadMac(frame));
        Assert.Equal(ServiceMac, FrameWriter.ReadMac(frame[6..]));
        Assert.Equal(FrameWriter.EtherTypeIpv4, BinaryPrimitives.ReadUInt16BigEndian(frame[12..]));
        ReadOnlySpan<byte> ip = frame[14..];
        Assert.Equal(0x45, ip[0]);
        Assert.Equal(ip.Length, BinaryPrimitives.ReadUInt16BigEndian(ip[2..]));
        Assert.Equal(0, InternetChecksum.Compute(ip[..20]));
        Assert.Equal(FrameWriter.ProtocolTcp, ip[9]);
        Assert.Equal(ServiceAddress, BinaryPrimitives.ReadUInt32BigEndian(ip[12..]));
        Assert.Equal(GuestAddress, BinaryPrimitives.ReadUInt32BigEndian(ip[16..]));
        Assert.Equal(0, InternetChecksum.ComputeTcp(ServiceAddress, GuestAddress, ip[20..]));
        Assert.True(TcpSegment.TryParse(ip[20..], out TcpSegment segment));
        return segment;
    }
}
