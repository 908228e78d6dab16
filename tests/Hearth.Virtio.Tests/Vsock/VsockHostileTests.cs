using System.Net.Sockets;
using CsCheck;
using Hearth.Testing.Virtio;
using Hearth.Virtio.Vsock;

namespace Hearth.Virtio.Tests.Vsock;

/// <summary>Guests and hosts that do not keep to the protocol, and what they may cost.</summary>
public sealed class VsockHostileTests : IDisposable
{
    private const uint Port = 52;

    private readonly VsockBench _vsock = new();

    public void Dispose() => _vsock.Dispose();

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(8)]
    [InlineData(0xffff)]
    public void An_operation_that_a_stream_does_not_expect_ends_it(int operation)
    {
        _vsock.Lend(8);
        using Socket listener = _vsock.Listen(Port);
        using Socket host = _vsock.Connect(listener, Port, 1);
        _vsock.Send(_vsock.Header((VsockOperation)operation, Port, 1));
        Assert.Equal((Port, 1u), Ports(_vsock.Take(VsockOperation.Reset).Header));
        Assert.True(_vsock.IsClosed(host));
        Assert.Equal(1, _vsock.Device.Metrics.ConnsKilled.Value);
    }

    [Fact]
    public void A_type_that_was_not_offered_ends_the_stream()
    {
        _vsock.Lend(8);
        using Socket listener = _vsock.Listen(Port);
        using Socket host = _vsock.Connect(listener, Port, 1);
        _vsock.Send(_vsock.Header(VsockOperation.ReadWrite, Port, 1) with { Type = 2 });
        _vsock.Take(VsockOperation.Reset);
        Assert.True(_vsock.IsClosed(host));
    }

    [Fact]
    public void Data_after_the_guests_own_end_ends_the_stream()
    {
        _vsock.Lend(8);
        using Socket listener = _vsock.Listen(Port);
        using Socket host = _vsock.Connect(listener, Port, 1);
        _vsock.Send(_vsock.Header(VsockOperation.Shutdown, Port, 1, flags: VsockHeader.ShutdownSend));
        _vsock.Write(Port, 1, "more"u8);
        _vsock.Take(VsockOperation.Reset);
        Assert.True(_vsock.IsClosed(host));
    }

    [Theory]
    [InlineData(1u)]
    [InlineData(4096u)]
    [InlineData(0xffff_ffd4u)]
    [InlineData(uint.MaxValue)]
    public void A_length_beyond_the_packet_is_dropped_and_the_stream_lives(uint more)
    {
        _vsock.Lend(8);
        using Socket listener = _vsock.Listen(Port);
        using Socket host = _vsock.Connect(listener, Port, 1);
        byte[] payload = "12345678"u8.ToArray();
        uint length = unchecked((uint)payload.Length + more);
        _vsock.Send(_vsock.Header(VsockOperation.ReadWrite, Port, 1, length: length <= 8 ? uint.MaxValue : length), payload);
        Assert.Equal(1, _vsock.Device.Metrics.TxQueueEventFails.Value);
        _vsock.Write(Port, 1, "alive"u8);
        Assert.Equal("alive"u8.ToArray(), _vsock.Read(host));
    }

    [Fact]
    public void A_packet_in_many_pieces_is_one_packet()
    {
        _vsock.Lend(8);
        using Socket listener = _vsock.Listen(Port);
        using Socket host = _vsock.Connect(listener, Port, 1);
        var payload = new byte[3000];
        new Random(1).NextBytes(payload);
        byte[] packet = _vsock.Packet(_vsock.Header(VsockOperation.ReadWrite, Port, 1, (uint)payload.Length), payload);
        int[] cuts = [0, 1, 7, 43, 45, 100, 2999, packet.Length];
        _vsock.Tx.AddIndirect([.. cuts.Zip(cuts.Skip(1)).Select(cut => _vsock.Tx.Readable(packet.AsSpan(cut.First, cut.Second - cut.First)))]);
        _vsock.Bench.Kick(1);
        Assert.Equal(payload, _vsock.Read(host));
    }

    [Fact]
    public void Credit_lies_make_the_device_send_less_or_the_guest_lose_and_nothing_else() =>
        Gen.Select(Gen.OneOf(Gen.UInt, Gen.UInt[0, 70_000], Gen.Const(uint.MaxValue)), Gen.OneOf(Gen.UInt, Gen.UInt[0, 70_000])).Array[1, 20].Sample(
            lies =>
            {
                using var vsock = new VsockBench();
                vsock.Lend(200);
                using Socket listener = vsock.Listen(Port);
                using Socket host = vsock.Connect(listener, Port, 1);
                host.Blocking = false;
                uint sent = 0;
                foreach ((uint allocation, uint forwarded) in lies)
                {
                    vsock.Send(vsock.Header(VsockOperation.CreditUpdate, Port, 1, forwarded: forwarded) with { BufferAllocation = allocation });
                    host.Send(new byte[5000], SocketFlags.None, out _);
                    // By the guest's own words, wrapping around as they do.
                    uint onTheWay = unchecked(sent - forwarded);
                    uint room = onTheWay < allocation ? allocation - onTheWay : 0;
                    uint got = 0;
                    while (vsock.TryTake() is { } packet)
                    {
                        Assert.Equal(VsockOperation.ReadWrite, packet.Header.Operation);
                        got += packet.Header.Length;
                        vsock.Lend(1);
                    }

                    Assert.InRange(got, 0u, room);
                    sent += got;
                }
            },
            iter: 50,
            threads: 1);

    [Fact]
    public void Streams_beyond_the_most_are_refused_or_wait_and_come_in_when_others_end()
    {
        _vsock.Lend(8);
        using Socket listener = _vsock.Listen(Port);
        var hosts = new List<Socket>();
        for (int i = 0; i < VsockDevice.MaxStreams; i++)
        {
            hosts.Add(_vsock.Dial("CONN"));
        }

        using Socket late = _vsock.Dial("CONNECT 80\n");
        Assert.Null(_vsock.TryTake());
        Assert.False(_vsock.Bench.Loop.RunOnce(0));
        _vsock.Send(_vsock.Header(VsockOperation.Request, Port, 1));
        Assert.Equal((Port, 1u), Ports(_vsock.Take(VsockOperation.Reset).Header));
        hosts[0].Dispose();
        Assert.Equal(80u, _vsock.Take(VsockOperation.Request).Header.DestinationPort);
        hosts.ForEach(static host => host.Dispose());
    }

    [Theory]
    [InlineData("")]
    [InlineData("CONN")]
    public void A_host_that_leaves_in_mid_greeting_is_forgotten(string greeting)
    {
        Socket host = _vsock.Dial(greeting);
        Assert.Equal(0, _vsock.Device.Metrics.ConnsRemoved.Value);
        host.Dispose();
        _vsock.Bench.Pump();
        Assert.Equal(1, _vsock.Device.Metrics.ConnsRemoved.Value);
    }

    [Fact]
    public void A_host_that_leaves_before_the_guest_answers_ends_with_a_reset()
    {
        _vsock.Lend(8);
        Socket host = _vsock.Dial("CONNECT 80\n");
        uint port = _vsock.Take(VsockOperation.Request).Header.SourcePort;
        host.Dispose();
        _vsock.Send(_vsock.Header(VsockOperation.Response, port, 80));
        _vsock.Take(VsockOperation.Reset);
        Assert.Equal(1, _vsock.Device.Metrics.ConnsRemoved.Value);
    }

    [Fact]
    public void Ends_in_good_order_are_no_failures()
    {
        _vsock.Lend(16);
        using Socket listener = _vsock.Listen(Port);
        using Socket guestFirst = _vsock.Connect(listener, Port, 1);
        _vsock.Write(Port, 1, "question"u8);
        _vsock.Send(_vsock.Header(VsockOperation.Shutdown, Port, 1, flags: VsockHeader.ShutdownSend));
        guestFirst.Send("answer"u8);
        guestFirst.Shutdown(SocketShutdown.Send);
        Assert.Equal("answer"u8.ToArray(), _vsock.Take(VsockOperation.ReadWrite).Payload);
        _vsock.Take(VsockOperation.Reset);

        using Socket hostFirst = _vsock.Connect(listener, Port, 2);
        hostFirst.Shutdown(SocketShutdown.Send);
        Assert.Equal(VsockHeader.ShutdownSend, _vsock.Take(VsockOperation.Shutdown).Header.Flags);
        _vsock.Send(_vsock.Header(VsockOperation.Shutdown, Port, 2, flags: VsockHeader.ShutdownSend));
        _vsock.Take(VsockOperation.Reset);
        Assert.Equal(0, _vsock.Device.Metrics.TxWriteFails.Value);
        Assert.Equal(0, _vsock.Device.Metrics.ConnsKilled.Value);
        Assert.Equal(2, _vsock.Device.Metrics.ConnsRemoved.Value);
    }

    [Fact]
    public void Blocked_streams_cost_nothing()
    {
        _vsock.Lend(64);
        using Socket listener = _vsock.Listen(Port);
        using Socket deaf = _vsock.Connect(listener, Port, 1);
        using Socket eager = _vsock.Connect(listener, Port, 2);
        FillHost(1);
        eager.Blocking = false;
        while (eager.Send(new byte[4096], SocketFlags.None, out SocketError error) > 0 && error == SocketError.Success)
        {
            while (_vsock.TryTake() is not null)
            {
                _vsock.Lend(1);
            }
        }

        _vsock.Bench.Pump();
        int edges = _vsock.Bench.Line.Edges;
        Assert.False(_vsock.Bench.Loop.RunOnce(50));
        Assert.Equal(edges, _vsock.Bench.Line.Edges);
    }

    [Fact]
    public void Packets_both_ways_and_slow_hosts_cost_no_allocation()
    {
        using Socket listener = _vsock.Listen(Port);
        _vsock.Lend(1);
        using Socket host = _vsock.Connect(listener, Port, 1);
        var sink = new byte[1 << 20];
        long allocated = 0;
        uint forwarded = 0;
        for (int round = 0; round < 40; round++)
        {
            allocated = round == 20 ? 0 : allocated;
            host.Send(sink.AsSpan(0, 4096));
            allocated += Cost(_vsock.Bench.Pump);
            _vsock.Lend(_vsock.Rx.FreeDescriptors);
            while (_vsock.TryTake() is { } packet)
            {
                forwarded += packet.Header.Length;
            }

            // More than the host's socket holds: the rest waits in the device until the host reads.
            foreach (byte[] chunk in Enumerable.Repeat(new byte[32 << 10], 9))
            {
                _vsock.Tx.Add(_vsock.Tx.Readable(_vsock.Packet(
                    _vsock.Header(VsockOperation.ReadWrite, Port, 1, (uint)chunk.Length, forwarded: forwarded), chunk)));
                allocated += Cost(() => _vsock.Bench.Kick(1));
                _vsock.Tx.TakeUsed();
            }

            for (int read = 0; read < 9 * (32 << 10);)
            {
                read += host.Receive(sink);
                allocated += Cost(_vsock.Bench.Pump);
            }
        }

        Assert.Equal(0, allocated);
        Assert.Equal(0, _vsock.Device.Metrics.ConnsKilled.Value);
    }

    [Fact]
    public void A_reset_in_mid_traffic_leaves_nothing_behind()
    {
        _vsock.Lend(64);
        using Socket listener = _vsock.Listen(Port);
        using Socket deaf = _vsock.Connect(listener, Port, 1);
        FillHost(1);
        using Socket talking = _vsock.Connect(listener, Port, 2);
        talking.Send(new byte[1000]);
        using Socket dialling = _vsock.Dial("CONNECT 80\n");
        int edges = _vsock.Bench.Line.Edges;
        _vsock.Restart();
        Assert.Equal(edges, _vsock.Bench.Line.Edges);
        Assert.Equal(_vsock.Device.Metrics.ConnsAdded.Value, _vsock.Device.Metrics.ConnsRemoved.Value);
        _vsock.Lend(8);
        Assert.Null(_vsock.TryTake());
        // The old stream's name is free, and nothing of it is in the new one.
        using Socket again = _vsock.Connect(listener, Port, 1);
        _vsock.Write(Port, 1, "new life"u8);
        Assert.Equal("new life"u8.ToArray(), _vsock.Read(again));
    }

    [Fact]
    public void A_restored_guest_without_event_buffers_is_told_when_it_lends_one()
    {
        VsockState state = _vsock.Device.Save();
        lock (_vsock.Device.Gate)
        {
            _vsock.Device.Restore(state);
        }

        FakeDriver events = _vsock.Bench.Queues[2];
        for (int i = 0; i < 3; i++)
        {
            // As a driver does: it rings only where it was asked to.
            FakeBuffer buffer = events.Writable(4);
            events.Add(buffer);
            if (events.NeedsKick())
            {
                _vsock.Bench.Kick(2);
            }

            Assert.Equal(4u, events.TakeUsed().Length);
            lock (_vsock.Device.Gate)
            {
                _vsock.Device.Restore(state);
            }
        }
    }

    private static (uint Host, uint Guest) Ports(VsockHeader header) => (header.SourcePort, header.DestinationPort);

    private static long Cost(Action action)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        action();
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    // Until the socket is full and the device keeps some, too.
    private void FillHost(uint guestPort)
    {
        uint sent = 0, forwarded = 0;
        while (sent - forwarded + 16384 <= VsockStream.BufferBytes)
        {
            _vsock.Write(Port, guestPort, new byte[16384]);
            sent += 16384;
            while (_vsock.TryTake() is { } packet)
            {
                forwarded = packet.Header.ForwardedCount;
                _vsock.Lend(1);
            }
        }
    }
}
