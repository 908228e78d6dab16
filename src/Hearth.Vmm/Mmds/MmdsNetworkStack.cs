using System.Buffers.Binary;
using System.Diagnostics;
using System.Net;
using Hearth.Vmm.Mmds.Http;
using Hearth.Vmm.Mmds.Tcp;

namespace Hearth.Vmm.Mmds;

/// <summary>
/// The metadata service as one network interface's guest sees it: an Ethernet neighbour with an IPv4 address and a web
/// server on port 80. Frames in, frames out; it touches no host network and holds no descriptor.
/// <para>The guest is hostile: a frame that makes no sense is a count in <see cref="MmdsMetrics"/>, never an exception.
/// Nothing is allocated for a frame; a request's answer may grow its connection's buffer.</para>
/// <para>Thread: one, the device loop of the interface. The caller gives the time: any clock that does not go back, in
/// milliseconds, the same for all stacks of a microVM.</para>
/// <para>Source: Firecracker docs/mmds/mmds-design.md, "MMDS Network Stack".</para>
/// </summary>
public sealed class MmdsNetworkStack
{
    /// <summary>The longest frame <see cref="TryProduceFrame"/> makes; what a destination should hold.</summary>
    public const int MaxFrameBytes = FrameWriter.SegmentOverhead + TcpConnection.MaxMss;

    /// <summary>06:01:23:45:67:01, as Firecracker's.</summary>
    private const ulong LocalMac = 0x0601_2345_6701;

    private const ushort HttpPort = 80;
    private const int EtherTypeOffset = 12;
    private const int SmallestRoom = 256;

    private readonly uint _address;
    private readonly MmdsMetrics _metrics;
    private readonly TcpListener _listener;

    // The last ARP request that was not answered yet.
    private bool _arpPending;
    private ulong _arpMac;
    private uint _arpAddress;

    /// <param name="service">What to serve; shared with the other interfaces.</param>
    /// <param name="address">The service's IPv4 address: <see cref="MmdsConfig.EffectiveAddress"/>.</param>
    public MmdsNetworkStack(MmdsService service, IPAddress address)
    {
        Span<byte> octets = stackalloc byte[4];
        if (!address.TryWriteBytes(octets, out _))
        {
            throw new UnreachableException($"MmdsConfig let {address} through, which is not IPv4.");
        }

        _address = BinaryPrimitives.ReadUInt32BigEndian(octets);
        _metrics = service.Metrics;
        _listener = new TcpListener(HttpPort, new MmdsResponder(service), _metrics);
    }

    /// <summary>
    /// When to call <see cref="TryProduceFrame"/> though nothing came in; <see cref="long.MaxValue"/> for never. Holds
    /// once <see cref="TryProduceFrame"/> has returned 0; while the guest has no buffers, there is no use in waking for it.
    /// </summary>
    public long NextDeadlineMs => _listener.NextDeadlineMs;

    /// <summary>
    /// Whether a frame is for the service: it asks for its address, or has it as its destination. The address decides before
    /// anything else is known to be right: a broken packet must not get out either.
    /// </summary>
    /// <param name="start">The frame, or at least its first 42 bytes.</param>
    public bool IsAddressed(ReadOnlySpan<byte> start)
    {
        if (start.Length < FrameWriter.EthernetHeaderBytes)
        {
            return false;
        }

        ReadOnlySpan<byte> packet = start[FrameWriter.EthernetHeaderBytes..];
        return BinaryPrimitives.ReadUInt16BigEndian(start[EtherTypeOffset..]) switch
        {
            FrameWriter.EtherTypeArp => packet.Length >= FrameWriter.ArpBytes && BinaryPrimitives.ReadUInt32BigEndian(packet[24..]) == _address,
            FrameWriter.EtherTypeIpv4 => packet.Length >= FrameWriter.Ipv4HeaderBytes && BinaryPrimitives.ReadUInt32BigEndian(packet[16..]) == _address,
            _ => false,
        };
    }

    /// <summary>Takes a frame that the guest sends, if it is for the service.</summary>
    /// <param name="frame">From the Ethernet header on.</param>
    /// <param name="nowMs">Monotonic time.</param>
    /// <param name="checksumDeferred">
    /// Whether the guest left the TCP checksum to the device (<c>VIRTIO_NET_HDR_F_NEEDS_CSUM</c>): it is then not checked.
    /// </param>
    /// <returns>Whether the frame is taken, and must not reach the host's network.</returns>
    public bool TryConsumeFrame(ReadOnlySpan<byte> frame, long nowMs, bool checksumDeferred = false)
    {
        if (frame.Length < FrameWriter.EthernetHeaderBytes)
        {
            _metrics.RxBadEth.Increment();
            return false;
        }

        if (!IsAddressed(frame))
        {
            return false;
        }

        _metrics.RxAccepted.Increment();
        ReadOnlySpan<byte> packet = frame[FrameWriter.EthernetHeaderBytes..];
        if (BinaryPrimitives.ReadUInt16BigEndian(frame[EtherTypeOffset..]) == FrameWriter.EtherTypeArp)
        {
            ConsumeArp(packet);
        }
        else
        {
            ConsumeIpv4(FrameWriter.ReadMac(frame[6..]), packet, nowMs, checksumDeferred);
        }

        return true;
    }

    /// <summary>Makes the next frame for the guest, if there is one.</summary>
    /// <param name="destination">At best <see cref="MaxFrameBytes"/>; less makes shorter segments.</param>
    /// <param name="nowMs">Monotonic time.</param>
    /// <returns>The frame's length; 0 if there is nothing to send now, or no room for it.</returns>
    public int TryProduceFrame(Span<byte> destination, long nowMs)
    {
        if (destination.Length < SmallestRoom)
        {
            _metrics.TxErrors.Increment();
            return 0;
        }

        int length = 0;
        if (_arpPending)
        {
            _arpPending = false;
            length = FrameWriter.WriteArpReply(destination, LocalMac, _address, _arpMac, _arpAddress);
        }
        else if (_listener.TryNextSegment(
            destination.Length - FrameWriter.SegmentOverhead, nowMs, out TcpPeer peer, out TcpHeader header, out ReadOnlySpan<byte> payload))
        {
            length = FrameWriter.WriteSegment(destination, LocalMac, _address, peer, header, payload);
        }

        if (length > 0)
        {
            _metrics.TxFrames.Increment();
            _metrics.TxCount.Increment();
            _metrics.TxBytes.Add(length);
        }

        return length;
    }

    private void ConsumeArp(ReadOnlySpan<byte> arp)
    {
        // Ethernet, IPv4, their address lengths, and "request". Source: RFC 826.
        if (BinaryPrimitives.ReadUInt64BigEndian(arp) != 0x0001_0800_0604_0001)
        {
            _metrics.RxAcceptedUnusual.Increment();
            return;
        }

        _arpMac = FrameWriter.ReadMac(arp[8..]);
        _arpAddress = BinaryPrimitives.ReadUInt32BigEndian(arp[14..]);
        _arpPending = true;
    }

    private void ConsumeIpv4(ulong sourceMac, ReadOnlySpan<byte> packet, long nowMs, bool checksumDeferred)
    {
        int headerBytes = (packet[0] & 15) * 4;
        int totalBytes = BinaryPrimitives.ReadUInt16BigEndian(packet[2..]);
        if (packet[0] >> 4 != 4
            || headerBytes < FrameWriter.Ipv4HeaderBytes || headerBytes > totalBytes || totalBytes > packet.Length
            || InternetChecksum.Compute(packet[..headerBytes]) != 0)
        {
            _metrics.RxAcceptedErr.Increment();
            return;
        }

        // More-fragments or an offset: no request needs them.
        bool isFragment = (BinaryPrimitives.ReadUInt16BigEndian(packet[6..]) & 0x3FFF) != 0;
        if (isFragment || packet[9] != FrameWriter.ProtocolTcp)
        {
            _metrics.RxAcceptedUnusual.Increment();
            return;
        }

        // Ethernet pads short frames: the packet ends where it says.
        ReadOnlySpan<byte> bytes = packet[headerBytes..totalBytes];
        uint source = BinaryPrimitives.ReadUInt32BigEndian(packet[12..]);
        if (!TcpSegment.TryParse(bytes, out TcpSegment segment)
            || (!checksumDeferred && InternetChecksum.ComputeTcp(source, _address, bytes) != 0))
        {
            _metrics.RxAcceptedErr.Increment();
            return;
        }

        _metrics.RxCount.Increment();
        _listener.Receive(sourceMac, source, in segment, nowMs);
    }
}
