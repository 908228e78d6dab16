using CsCheck;
using Hearth.Testing.Virtio;
using Hearth.Virtio.RateLimiting;

namespace Hearth.Virtio.Tests.Net;

public class NetReceiveTests
{
    private const ulong GuestCsum = 2;
    private const ulong HourMs = 3_600_000;

    [Fact]
    public void A_frame_lands_in_the_guests_buffer()
    {
        using var net = new NetBench();
        Dictionary<ushort, FakeBuffer> lent = net.Lend(4, 2000);
        net.Bench.Kick(0);
        byte[] frame = NetBench.Frame(1500);
        net.HostSends(frame);
        net.Bench.Pump();
        Assert.Equal(frame, net.GuestReceives(lent));
        Assert.Equal(1, net.Device.Metrics.RxPacketsCount.Value);
        Assert.Equal(frame.Length, net.Device.Metrics.RxBytesCount.Value);
    }

    [Fact]
    public void A_large_frame_spans_as_many_buffers_as_it_needs()
    {
        using var net = new NetBench();
        Dictionary<ushort, FakeBuffer> lent = net.Lend(100, 1526);
        net.Bench.Kick(0);
        byte[] large = NetBench.Frame(65_550);
        net.HostSends(large);
        net.HostSends(NetBench.Frame(60, 7));
        net.Bench.Pump();
        Assert.Equal(43 + 1, net.Rx.UsedIdx);
        Assert.Equal(large, net.GuestReceives(lent));
        Assert.Equal(NetBench.Frame(60, 7), net.GuestReceives(lent));
    }

    [Fact]
    public void Without_mergeable_buffers_a_frame_fits_one_chain_or_is_dropped()
    {
        using var net = new NetBench(features: ~NetBench.MrgRxbuf);
        Dictionary<ushort, FakeBuffer> lent = net.Lend(3, 1526);
        net.Bench.Kick(0);
        net.HostSends(NetBench.Frame(1515));
        net.HostSends(NetBench.Frame(1514));
        net.Bench.Pump();
        Assert.Equal(1, net.Rx.UsedIdx);
        Assert.Equal(NetBench.Frame(1514), net.GuestReceives(lent));
        Assert.Equal(1, net.Device.Metrics.RxFails.Value);
    }

    [Fact]
    public void Without_buffers_frames_wait_and_cost_nothing()
    {
        using var net = new NetBench();
        for (int i = 0; i < 3; i++)
        {
            net.HostSends(NetBench.Frame(100, (byte)i));
        }

        net.Bench.Pump();
        Assert.False(net.Bench.Loop.RunOnce(0));
        Assert.True(net.Device.Metrics.NoRxAvailBuffer.Value >= 1);
        Dictionary<ushort, FakeBuffer> lent = net.Lend(2, 2000);
        Assert.True(net.Rx.NeedsKick());
        net.Bench.Kick(0);
        Assert.Equal(NetBench.Frame(100, 0), net.GuestReceives(lent));
        Assert.Equal(NetBench.Frame(100, 1), net.GuestReceives(lent));
        lent = net.Lend(1, 2000);
        Assert.True(net.Rx.NeedsKick());
        net.Bench.Kick(0);
        Assert.Equal(NetBench.Frame(100, 2), net.GuestReceives(lent));
    }

    [Fact]
    public void A_frame_half_in_its_buffers_waits_for_the_rest()
    {
        using var net = new NetBench();
        Dictionary<ushort, FakeBuffer> lent = net.Lend(3, 1000);
        net.Bench.Kick(0);
        byte[] frame = NetBench.Frame(9000);
        net.HostSends(frame);
        net.Bench.Pump();
        Assert.Equal(0, net.Rx.UsedIdx);
        Assert.False(net.Bench.Loop.RunOnce(0));
        foreach ((ushort head, FakeBuffer buffer) in net.Lend(4, 1000).Concat(net.Lend(4, 1000)))
        {
            lent.Add(head, buffer);
        }

        Assert.True(net.Rx.NeedsKick());
        net.Bench.Kick(0);
        Assert.Equal(frame, net.GuestReceives(lent));
    }

    [Fact]
    public void A_frame_that_all_buffers_together_cannot_hold_is_dropped()
    {
        using var net = new NetBench();
        Dictionary<ushort, FakeBuffer> lent = net.Lend(256, 20);
        net.Bench.Kick(0);
        net.HostSends(NetBench.Frame(9000));
        net.HostSends(NetBench.Frame(100));
        net.Bench.Pump();
        Assert.Equal(NetBench.Frame(100), net.GuestReceives(lent));
        Assert.Equal(1, net.Device.Metrics.RxFails.Value);
    }

    [Fact]
    public void Buffers_too_small_for_a_header_come_back_unused()
    {
        using var net = new NetBench();
        net.Rx.Add(net.Rx.Writable(11));
        net.Rx.Add(net.Rx.Readable(new byte[2000]));
        Dictionary<ushort, FakeBuffer> lent = net.Lend(1, 2000);
        net.HostSends(NetBench.Frame(100));
        net.Bench.Kick(0);
        Assert.Equal(0u, net.Rx.TakeUsed().Length);
        Assert.Equal(0u, net.Rx.TakeUsed().Length);
        Assert.Equal(NetBench.Frame(100), net.GuestReceives(lent));
        Assert.Equal(2, net.Device.Metrics.RxFails.Value);
    }

    [Fact]
    public void A_burst_costs_one_interrupt()
    {
        using var net = new NetBench();
        Dictionary<ushort, FakeBuffer> lent = net.Lend(100, 2000);
        net.Rx.UsedEvent = 29;
        for (int i = 0; i < 30; i++)
        {
            net.HostSends(NetBench.Frame(100, (byte)i));
        }

        int edges = net.Bench.Line.Edges;
        net.Bench.Kick(0);
        Assert.Equal(30, net.Rx.UsedIdx);
        Assert.Equal(edges + 1, net.Bench.Line.Edges);
        for (int i = 0; i < 30; i++)
        {
            Assert.Equal(NetBench.Frame(100, (byte)i), net.GuestReceives(lent));
        }
    }

    [Theory]
    [InlineData(ulong.MaxValue, 2)]
    [InlineData(~GuestCsum, 0)]
    public void Checksum_flags_are_for_drivers_that_asked_for_them(ulong features, byte expected)
    {
        using var net = new NetBench(features: features);
        Dictionary<ushort, FakeBuffer> lent = net.Lend(1, 2000);
        net.HostSends(NetBench.Frame(100, flags: 2));
        net.Bench.Kick(0);
        Assert.Equal(expected, net.GuestReceives(lent)[0]);
    }

    [Fact]
    public void Receiving_stops_without_tokens_and_goes_on_when_they_come()
    {
        using var net = new NetBench(c => c with { RxRateLimiter = new RateLimiterConfig(null, new TokenBucketConfig(2, 0, HourMs)) });
        Dictionary<ushort, FakeBuffer> lent = net.Lend(10, 2000);
        for (int i = 0; i < 5; i++)
        {
            net.HostSends(NetBench.Frame(100, (byte)i));
        }

        net.Bench.Kick(0);
        Assert.Equal(2, net.Rx.UsedIdx);
        // Two at once, and the fifth when its token comes.
        net.Device.UpdateRateLimiters(new RateLimiterConfig(null, new TokenBucketConfig(2, 0, 40)), null);
        net.Bench.PumpUntil(() => net.Rx.UsedIdx == 5, "the limiter's timer");
        for (int i = 0; i < 5; i++)
        {
            Assert.Equal(NetBench.Frame(100, (byte)i), net.GuestReceives(lent));
        }
    }

    [Fact]
    public void Buffers_taken_ahead_are_in_the_ring_again_when_it_is_saved()
    {
        using var net = new NetBench();
        Dictionary<ushort, FakeBuffer> lent = net.Lend(5, 2000);
        net.HostSends(NetBench.Frame(100));
        net.Bench.Kick(0);
        Assert.Equal(NetBench.Frame(100), net.GuestReceives(lent));
        lock (net.Device.Gate)
        {
            Assert.Equal(1, net.Bench.Transport.Save().Queues[0].NextAvail);
        }

        net.HostSends(NetBench.Frame(200));
        net.Bench.Pump();
        Assert.Equal(NetBench.Frame(200), net.GuestReceives(lent));
    }

    [Fact]
    public void A_reset_forgets_buffers_and_a_waiting_frame()
    {
        using var net = new NetBench();
        net.Lend(2, 1000);
        net.HostSends(NetBench.Frame(5000));
        net.Bench.Kick(0);
        net.Bench.Driver.Reset();
        net.Bench.Start();
        Dictionary<ushort, FakeBuffer> lent = net.Lend(2, 2000);
        net.HostSends(NetBench.Frame(100));
        net.Bench.Kick(0);
        Assert.Equal(NetBench.Frame(100), net.GuestReceives(lent));
    }

    [Fact]
    public void A_host_that_has_gone_is_not_asked_for_ever()
    {
        var keep = new List<IDisposable>();
        using var bench = new DeviceBench(NetBench.Create(keep));
        bench.Start();
        bench.Queues[0].Add(bench.Queues[0].Writable(2000));
        bench.Kick(0);
        keep[0].Dispose();
        bench.Pump();
        Assert.False(bench.Loop.RunOnce(0));
        bench.Queues[1].Add(bench.Queues[1].Readable(NetBench.Frame(100)));
        bench.Kick(1);
        Assert.Equal(1, bench.Queues[1].UsedIdx);
    }

    [Fact]
    public void Frames_and_buffers_of_any_size_come_in_order_and_whole()
    {
        Gen<int> frameBytes = Gen.OneOf(Gen.Int[14, 1514], Gen.Int[14, 9000], Gen.Int[60_000, 65_550]);
        Gen<uint> bufferBytes = Gen.OneOf(Gen.UInt[12, 64], Gen.UInt[1000, 2000], Gen.UInt[4000, 70_000]);
        Gen.Select(frameBytes.Array[1, 12], bufferBytes.Array[1, 40], Gen.Int[1, 80]).Sample(
            (frames, buffers, batch) =>
            {
                using var net = new NetBench();
                var lent = new Dictionary<ushort, FakeBuffer>();
                int next = 0;
                for (int f = 0; f < frames.Length; f++)
                {
                    byte[] frame = NetBench.Frame(frames[f], (byte)f);
                    net.HostSends(frame);
                    net.Bench.Pump();
                    while (net.Rx.UsedIdx == net.Rx.SeenUsed)
                    {
                        if (net.Rx.FreeDescriptors == 0)
                        {
                            // All that a guest can lend is too little: the frame was dropped.
                            Assert.Equal(1, net.Device.Metrics.RxFails.Value);
                            return;
                        }

                        for (int i = Math.Min(batch, net.Rx.FreeDescriptors); i > 0; i--)
                        {
                            FakeBuffer buffer = net.Rx.Writable(buffers[next++ % buffers.Length]);
                            lent.Add(net.Rx.Add(buffer), buffer);
                        }

                        if (net.Rx.NeedsKick())
                        {
                            net.Bench.Kick(0);
                        }

                        net.Bench.Pump();
                    }

                    Assert.Equal(frame, net.GuestReceives(lent));
                }
            },
            iter: 60,
            threads: 1);
    }
}
