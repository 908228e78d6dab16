using System.Buffers.Binary;
using System.Net;
using System.Text;
using Hearth.Vmm.Mmds;
using Hearth.Vmm.Mmds.Tcp;

namespace Hearth.Vmm.Tests.Mmds;

public class MmdsNetworkStackTests
{
    private const uint Isn = 0xFFFF_FFF0;

    private readonly MmdsService _service = new(51200);
    private readonly MmdsNetworkStack _stack;
    private readonly byte[] _frame = new byte[MmdsNetworkStack.MaxFrameBytes];

    public MmdsNetworkStackTests()
    {
        _service.Store.Put("""{"a":"value"}"""u8);
        _stack = new MmdsNetworkStack(_service, IPAddress.Parse("169.254.169.254"));
    }

    [Fact]
    public void Who_asks_for_the_address_is_told_it()
    {
        Assert.True(_stack.TryConsumeFrame(GuestFrames.ArpRequest(), 0));
        int length = _stack.TryProduceFrame(_frame, 0);
        Assert.Equal(42, length);
        ReadOnlySpan<byte> reply = _frame.AsSpan(0, length);
        Assert.Equal(GuestFrames.GuestMac, FrameWriter.ReadMac(reply));
        Assert.Equal(GuestFrames.ServiceMac, FrameWriter.ReadMac(reply[6..]));
        Assert.Equal(0x0806_0001_0800_0604UL, BinaryPrimitives.ReadUInt64BigEndian(reply[12..]));
        Assert.Equal(2, BinaryPrimitives.ReadUInt16BigEndian(reply[20..]));
        Assert.Equal(GuestFrames.ServiceMac, FrameWriter.ReadMac(reply[22..]));
        Assert.Equal(GuestFrames.ServiceAddress, BinaryPrimitives.ReadUInt32BigEndian(reply[28..]));
        Assert.Equal(GuestFrames.GuestMac, FrameWriter.ReadMac(reply[32..]));
        Assert.Equal(GuestFrames.GuestAddress, BinaryPrimitives.ReadUInt32BigEndian(reply[38..]));
        Assert.Equal(0, _stack.TryProduceFrame(_frame, 0));
    }

    [Fact]
    public void What_is_for_others_goes_to_the_network()
    {
        Assert.False(_stack.TryConsumeFrame(GuestFrames.ArpRequest(GuestFrames.ServiceAddress + 1), 0));
        byte[] elsewhere = GuestFrames.Segment(Syn());
        elsewhere[33]++;
        Assert.False(_stack.TryConsumeFrame(elsewhere, 0));
        byte[] ipv6 = GuestFrames.Segment(Syn());
        (ipv6[12], ipv6[13]) = (0x86, 0xDD);
        Assert.False(_stack.TryConsumeFrame(ipv6, 0));
        Assert.False(_stack.TryConsumeFrame(default, 0));
        Assert.False(_stack.TryConsumeFrame(new byte[13], 0));
        Assert.Equal(2, _service.Metrics.RxBadEth.Value);
        Assert.Equal(0, _service.Metrics.RxAccepted.Value);
    }

    [Theory]
    [InlineData(14, 0x55)] // version 5
    [InlineData(14, 0x44)] // a header of 16 bytes
    [InlineData(14, 0x4F)] // a header longer than the packet
    [InlineData(17, 0)] // a total length of 0
    [InlineData(16, 0xFF)] // a total length past the frame
    [InlineData(24, 0)] // a wrong header checksum
    [InlineData(46, 0x40)] // a TCP header of 16 bytes
    [InlineData(46, 0xF0)] // a TCP header past the packet
    [InlineData(50, 0)] // a wrong TCP checksum
    public void Broken_packets_are_dropped_here(int at, byte value)
    {
        byte[] frame = GuestFrames.Segment(Syn());
        Assert.NotEqual(value, frame[at]);
        frame[at] = value;
        if (at == 46)
        {
            GuestFrames.Repair(frame);
        }

        Assert.True(_stack.TryConsumeFrame(frame, 0));
        Assert.Equal(1, _service.Metrics.RxAcceptedErr.Value);
        Assert.Equal(0, _stack.TryProduceFrame(_frame, 0));
    }

    [Theory]
    [InlineData(20, 0x20)] // more fragments
    [InlineData(21, 0x01)] // an offset
    [InlineData(23, 17)] // UDP
    public void Fragments_and_other_protocols_are_dropped_here(int at, byte value)
    {
        byte[] frame = GuestFrames.Segment(Syn());
        frame[at] = value;
        Assert.True(_stack.TryConsumeFrame(GuestFrames.Repair(frame), 0));
        Assert.Equal(1, _service.Metrics.RxAcceptedUnusual.Value);
        Assert.Equal(0, _stack.TryProduceFrame(_frame, 0));
    }

    [Fact]
    public void A_checksum_that_the_guest_left_to_the_device_is_not_checked()
    {
        byte[] frame = GuestFrames.Segment(Syn());
        frame[50] ^= 0xFF;
        Assert.True(_stack.TryConsumeFrame(frame, 0, checksumDeferred: true));
        Assert.True(Next(0).Has(TcpFlags.Syn | TcpFlags.Ack));
    }

    [Fact]
    public void Ip_options_and_ethernet_padding_are_stepped_over()
    {
        byte[] plain = GuestFrames.Segment(Syn());
        byte[] frame = [.. plain[..34], 1, 1, 1, 1, .. plain[34..]];
        frame[14] = 0x46;
        frame[17] += 4;
        GuestFrames.Repair(frame);
        Assert.True(_stack.TryConsumeFrame([.. frame, 0, 0, 0, 0, 0, 0], 0));
        Assert.Equal(unchecked(Isn + 1), Next(0).Ack);
    }

    [Fact]
    public void A_closed_port_and_an_unknown_connection_are_refused()
    {
        Send(new TcpHeader(Isn, 0, TcpFlags.Syn, 1000), servicePort: 81);
        TcpSegment refusal = Next(0);
        Assert.Equal((TcpFlags.Rst | TcpFlags.Ack, 81, 0u, unchecked(Isn + 1)), (refusal.Flags, refusal.SourcePort, refusal.Seq, refusal.Ack));
        Send(new TcpHeader(5, 77, TcpFlags.Ack, 1000), payload: [1, 2, 3]);
        refusal = Next(0);
        Assert.Equal((TcpFlags.Rst, 77u), (refusal.Flags, refusal.Seq));
        Send(new TcpHeader(5, 77, TcpFlags.Rst, 1000));
        Assert.Equal(0, _stack.TryProduceFrame(_frame, 0));
    }

    [Fact]
    public void A_lost_syn_ack_is_sent_again_and_then_given_up()
    {
        Send(Syn());
        uint seq = Next(0).Seq;
        Assert.Equal(0, _stack.TryProduceFrame(_frame, 0));
        long now = 0;
        int again = 0;
        while (_stack.NextDeadlineMs != long.MaxValue)
        {
            Assert.True(_stack.NextDeadlineMs > now);
            now = _stack.NextDeadlineMs;
            TcpSegment segment = Next(now);
            if (segment.Has(TcpFlags.Rst))
            {
                break;
            }

            Assert.Equal((TcpFlags.Syn | TcpFlags.Ack, seq), (segment.Flags, segment.Seq));
            again++;
        }

        Assert.Equal(15, again);
        Assert.Equal((1, 1), (_service.Metrics.ConnectionsCreated.Value, _service.Metrics.ConnectionsDestroyed.Value));
    }

    [Fact]
    public void A_repeated_syn_is_answered_the_same()
    {
        Send(Syn());
        uint seq = Next(0).Seq;
        Send(Syn());
        Assert.Equal(seq, Next(0).Seq);
        Assert.Equal(1, _service.Metrics.ConnectionsCreated.Value);
    }

    [Fact]
    public void Only_an_exact_reset_ends_a_connection()
    {
        uint ours = Connect();
        Send(new TcpHeader(unchecked(Isn + 100), 0, TcpFlags.Rst, 0));
        Assert.Equal((TcpFlags.Ack, unchecked(Isn + 1)), (Next(0).Flags, Open().Ack));
        Send(new TcpHeader(unchecked(Isn + 1_000_000), 0, TcpFlags.Rst, 0));
        Assert.Equal(0, _stack.TryProduceFrame(_frame, 0));
        Send(new TcpHeader(unchecked(Isn + 500), 0, TcpFlags.Syn, 0));
        Assert.Equal((TcpFlags.Ack, ours), (Next(0).Flags, Open().Seq));
        Assert.Equal(0, _service.Metrics.ConnectionsDestroyed.Value);
        Send(new TcpHeader(unchecked(Isn + 1), 0, TcpFlags.Rst, 0));
        Assert.Equal(1, _service.Metrics.ConnectionsDestroyed.Value);
        Assert.Equal(0, _stack.TryProduceFrame(_frame, 0));
        Assert.Equal(long.MaxValue, _stack.NextDeadlineMs);
    }

    [Theory]
    [InlineData(0x8000_0000)]
    [InlineData(0x7FFF_FFFF)]
    [InlineData(0x8000_0001)]
    [InlineData(2500)]
    [InlineData(1)]
    [InlineData(0xFFFF_0000)]
    public void Data_from_elsewhere_on_the_circle_is_questioned_and_not_taken(uint offset)
    {
        uint ours = Connect();
        Send(Data(offset, ours), "GET /a HTTP/1.1\r\n\r\n"u8);
        TcpSegment answer = Next(0);
        Assert.Equal((TcpFlags.Ack, unchecked(Isn + 1), 2500, 0), (answer.Flags, answer.Ack, answer.Window, answer.Payload.Length));
        Assert.Equal(0, _stack.TryProduceFrame(_frame, 0));
    }

    [Fact]
    public void A_request_larger_than_the_buffer_resets_the_connection()
    {
        uint ours = Connect();
        byte[] part = Encoding.ASCII.GetBytes("GET /" + new string('x', 1245));
        Send(Data(0, ours), part);
        Assert.Equal(1250, Next(0).Window);
        Send(Data(1250, ours), part);
        Assert.True(Next(0).Has(TcpFlags.Rst));
        Assert.Equal(1, _service.Metrics.ConnectionsDestroyed.Value);
    }

    [Fact]
    public void What_does_not_fit_the_window_is_not_taken()
    {
        uint ours = Connect();
        Send(Data(0, ours), new byte[2499]);
        Assert.Equal(1, Next(0).Window);
        Send(Data(2499, ours), "\n\nGET "u8);
        TcpSegment segment = Next(0);
        Assert.True(segment.Has(TcpFlags.Rst));
    }

    [Fact]
    public void A_closed_window_is_probed_for_as_long_as_the_guest_answers()
    {
        uint ours = Connect();
        Send(Data(0, ours) with { Window = 0 }, "GET /a HTTP/1.1\r\n\r\n"u8);
        Assert.Equal(0, Next(0).Payload.Length);
        long now = 0;
        for (int i = 0; i < 40; i++)
        {
            Assert.True(_stack.NextDeadlineMs is var next && next > now && next < now + 5000);
            now = _stack.NextDeadlineMs;
            TcpSegment probe = Next(now);
            Assert.Equal((1, ours), (probe.Payload.Length, probe.Seq));
            Assert.Equal(0, _stack.TryProduceFrame(_frame, now));
            Send(new TcpHeader(unchecked(Isn + 20), ours, TcpFlags.Ack, 0), nowMs: now);
        }

        Send(new TcpHeader(unchecked(Isn + 20), ours, TcpFlags.Ack, 1000), nowMs: now);
        Assert.EndsWith("value", Encoding.ASCII.GetString(Next(now).Payload), StringComparison.Ordinal);
        Assert.Equal(ours, Open().Seq);
    }

    [Fact]
    public void Three_duplicate_acknowledgements_bring_a_lost_segment_before_the_timer_does()
    {
        _service.Store.Put(Encoding.ASCII.GetBytes($$"""{"a":"{{new string('x', 9000)}}"}"""));
        uint ours = Connect();
        Send(Data(0, ours) with { Window = 60000 }, "GET /a HTTP/1.1\r\n\r\n"u8);
        int segments = 0;
        while (_stack.TryProduceFrame(_frame, 0) > 0)
        {
            segments++;
        }

        Assert.InRange(segments, 7, 20);
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal(0, _stack.TryProduceFrame(_frame, 0));
            Send(new TcpHeader(unchecked(Isn + 20), ours, TcpFlags.Ack, 60000));
        }

        Assert.Equal(ours, Next(0).Seq);
    }

    [Fact]
    public void Thirty_connections_are_enough_until_one_falls_silent()
    {
        for (ushort i = 0; i < TcpListener.MaxConnections; i++)
        {
            Send(Syn(), port: (ushort)(1000 + i));
            Assert.True(Next(0).Has(TcpFlags.Syn));
        }

        Send(Syn(), port: 2000);
        Assert.True(Next(0).Has(TcpFlags.Rst));
        Assert.Equal(2000, Open().DestinationPort);

        for (ushort i = 1; i < TcpListener.MaxConnections; i++)
        {
            Send(Syn(), port: (ushort)(1000 + i), nowMs: 5000);
        }

        Send(Syn(), port: 2000, nowMs: TcpConnection.EvictionMs);
        Assert.True(Next(TcpConnection.EvictionMs).Has(TcpFlags.Rst));
        Assert.Equal(1000, Open().DestinationPort);
        Assert.Equal((31, 1), (_service.Metrics.ConnectionsCreated.Value, _service.Metrics.ConnectionsDestroyed.Value));
    }

    [Fact]
    public void A_buffer_too_small_for_a_frame_is_counted_and_loses_nothing()
    {
        Send(Syn());
        Assert.Equal(0, _stack.TryProduceFrame(_frame.AsSpan(0, 60), 0));
        Assert.Equal(1, _service.Metrics.TxErrors.Value);
        Assert.True(Next(0).Has(TcpFlags.Syn));
    }

    [Fact]
    public void Exchanges_allocate_nothing_once_the_connection_is_warm()
    {
        _service.Configure(new MmdsConfig { NetworkInterfaces = ["eth0"], Version = MmdsVersion.V2 });
        var token = new byte[MmdsTokens.EncodedLength];
        _service.Tokens.Issue(21600, 0, token);
        byte[] request = Encoding.ASCII.GetBytes($"GET /a HTTP/1.1\r\nX-metadata-token: {Encoding.ASCII.GetString(token)}\r\n\r\n");
        uint ours = Connect();
        uint theirs = unchecked(Isn + 1);
        long allocated = 0;
        for (int i = 0; i < 200; i++)
        {
            byte[] frame = GuestFrames.Segment(new TcpHeader(theirs, ours, TcpFlags.Ack, 60000), request);
            long before = GC.GetAllocatedBytesForCurrentThread();
            _stack.TryConsumeFrame(frame, i);
            int length = _stack.TryProduceFrame(_frame, i);
            long after = GC.GetAllocatedBytesForCurrentThread();
            int answered = GuestFrames.Open(_frame.AsSpan(0, length)).Payload.Length;
            Assert.True(answered > 0);
            ours = unchecked(ours + (uint)answered);
            theirs = unchecked(theirs + (uint)request.Length);
            allocated = i < 100 ? 0 : allocated + after - before;
        }

        Assert.Equal(0, allocated);
    }

    private static TcpHeader Syn() => new(Isn, 0, TcpFlags.Syn, 1000) { Mss = 1460 };

    private static TcpHeader Data(uint offset, uint ack) => new(unchecked(Isn + 1 + offset), ack, TcpFlags.Ack, 1000);

    private void Send(TcpHeader header, ReadOnlySpan<byte> payload = default, ushort port = 40000, ushort servicePort = 80, long nowMs = 0) =>
        Assert.True(_stack.TryConsumeFrame(GuestFrames.Segment(header, payload, port, servicePort), nowMs));

    // Shakes hands; returns the number of the service's first byte.
    private uint Connect()
    {
        Send(Syn());
        uint ours = unchecked(Next(0).Seq + 1);
        Send(new TcpHeader(unchecked(Isn + 1), ours, TcpFlags.Ack, 1000));
        Assert.Equal(0, _stack.TryProduceFrame(_frame, 0));
        return ours;
    }

    private int _length;

    private TcpSegment Next(long nowMs)
    {
        _length = _stack.TryProduceFrame(_frame, nowMs);
        Assert.NotEqual(0, _length);
        return Open();
    }

    private TcpSegment Open() => GuestFrames.Open(_frame.AsSpan(0, _length));
}
