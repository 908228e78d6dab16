using Hearth.Testing.Virtio;
using Hearth.Virtio.Net;
using Hearth.Virtio.RateLimiting;

namespace Hearth.Virtio.Tests.Net;

public class NetTransmitTests
{
    private const ulong HourMs = 3_600_000;

    [Fact]
    public void A_frame_reaches_the_host_as_the_guest_wrote_it()
    {
        using var net = new NetBench();
        byte[] frame = NetBench.Frame(1500);
        net.Tx.Add(net.Tx.Readable(frame));
        net.Bench.Kick(1);
        Assert.Equal(frame, net.HostReceives());
        Assert.Equal(0u, net.Tx.TakeUsed().Length);
        Assert.Equal(1, net.Device.Metrics.TxPacketsCount.Value);
        Assert.Equal(frame.Length, net.Device.Metrics.TxBytesCount.Value);
    }

    [Fact]
    public void A_frame_in_many_pieces_is_one_frame()
    {
        using var net = new NetBench();
        byte[] frame = NetBench.Frame(60_000);
        var pieces = new List<FakeBuffer> { net.Tx.Readable(frame.AsSpan(0, 5)), net.Tx.Readable(frame.AsSpan(5, 20)) };
        for (int at = 25; at < frame.Length; at += 1000)
        {
            pieces.Add(net.Tx.Readable(frame.AsSpan(at, Math.Min(1000, frame.Length - at))));
        }

        net.Tx.AddIndirect([.. pieces]);
        net.Bench.Kick(1);
        Assert.Equal(frame, net.HostReceives());
    }

    [Fact]
    public void A_burst_costs_one_interrupt()
    {
        using var net = new NetBench();
        net.Tx.UsedEvent = 39;
        for (int i = 0; i < 40; i++)
        {
            net.Tx.Add(net.Tx.Readable(NetBench.Frame(100, (byte)i)));
        }

        int edges = net.Bench.Line.Edges;
        net.Bench.Kick(1);
        Assert.Equal(40, net.Tx.UsedIdx);
        Assert.Equal(edges + 1, net.Bench.Line.Edges);
        for (int i = 0; i < 40; i++)
        {
            Assert.Equal(NetBench.Frame(100, (byte)i), net.HostReceives());
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(11)]
    [InlineData(65_563)]
    [InlineData(1_000_000)]
    public void What_is_no_frame_is_dropped_and_counted(int bytes)
    {
        using var net = new NetBench();
        net.Tx.Add(net.Tx.Readable(new byte[bytes]));
        net.Tx.Add(net.Tx.Writable(100));
        net.Tx.Add(net.Tx.Readable(NetBench.Frame(64)));
        net.Bench.Kick(1);
        Assert.Equal(3, net.Tx.UsedIdx);
        Assert.Equal(2, net.Device.Metrics.TxMalformedFrames.Value);
        Assert.Equal(NetBench.Frame(64), net.HostReceives());
        Assert.Null(net.HostReceives());
    }

    [Fact]
    public void A_host_that_takes_nothing_costs_frames_and_not_the_queue()
    {
        using var net = new NetBench();
        int sent = 0;
        while (net.Device.Metrics.TapWriteFails.Value == 0)
        {
            net.Tx.Add(net.Tx.Readable(NetBench.Frame(30_000)));
            net.Bench.Kick(1);
            Assert.Equal(++sent, net.Tx.UsedIdx);
            Assert.True(sent < 1000, "the socket takes everything");
        }

        Assert.NotNull(net.HostReceives());
        net.Tx.Add(net.Tx.Readable(NetBench.Frame(100)));
        net.Bench.Kick(1);
        Assert.Equal(sent, net.Device.Metrics.TxPacketsCount.Value);
    }

    [Fact]
    public void A_source_that_is_not_the_configured_address_is_counted()
    {
        using var net = new NetBench(c => c with { GuestMac = new MacAddress(0x0102_0304_0506) });
        byte[] frame = NetBench.Frame(64);
        net.Tx.Add(net.Tx.Readable(frame));
        new MacAddress(0x0102_0304_0506).Write(frame.AsSpan(18));
        net.Tx.Add(net.Tx.Readable(frame));
        net.Bench.Kick(1);
        Assert.Equal(1, net.Device.Metrics.TxSpoofedMacCount.Value);
        Assert.Equal(2, net.Device.Metrics.TxPacketsCount.Value);
    }

    [Fact]
    public void Sending_stops_without_tokens_and_goes_on_when_they_come()
    {
        using var net = new NetBench(c => c with { TxRateLimiter = new RateLimiterConfig(null, new TokenBucketConfig(2, 0, HourMs)) });
        Send(net, 5);
        Assert.Equal(2, net.Tx.UsedIdx);
        Assert.Equal(1, net.Device.Metrics.TxRateLimiterThrottled.Value);
        // Two at once, and the fifth when its token comes.
        net.Device.UpdateRateLimiters(null, new RateLimiterConfig(null, new TokenBucketConfig(2, 0, 40)));
        net.Bench.PumpUntil(() => net.Tx.UsedIdx == 5, "the limiter's timer");
        Assert.True(net.Device.Metrics.TxRateLimiterEventCount.Value >= 1);
        Assert.Equal(0, net.Device.Metrics.RxEventRateLimiterCount.Value);
    }

    [Fact]
    public void Bandwidth_counts_bytes_and_new_limits_are_in_force_at_once()
    {
        using var net = new NetBench(c => c with { TxRateLimiter = new RateLimiterConfig(new TokenBucketConfig(250, 0, HourMs), null) });
        Send(net, 4);
        Assert.Equal(2, net.Tx.UsedIdx);
        net.Bench.Kick(1);
        Assert.Equal(2, net.Tx.UsedIdx);
        Assert.False(net.Bench.Loop.RunOnce(0));
        net.Device.UpdateRateLimiters(null, new RateLimiterConfig(new TokenBucketConfig(0, 0, 0), null));
        net.Bench.PumpUntil(() => net.Tx.UsedIdx == 4, "sending without a limit");
    }

    private static void Send(NetBench net, int frames)
    {
        for (int i = 0; i < frames; i++)
        {
            net.Tx.Add(net.Tx.Readable(NetBench.Frame(100)));
        }

        net.Bench.Kick(1);
    }
}
