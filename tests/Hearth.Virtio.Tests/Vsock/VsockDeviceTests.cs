using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Hearth.Virtio.Vsock;

namespace Hearth.Virtio.Tests.Vsock;

public sealed class VsockDeviceTests : IDisposable
{
    private readonly VsockBench _vsock = new();

    public void Dispose() => _vsock.Dispose();

    [Fact]
    public void A_guest_reaches_the_program_that_listens_for_its_port()
    {
        _vsock.Lend(8);
        using Socket listener = _vsock.Listen(52);
        using Socket host = _vsock.Connect(listener, 52, 1000);
        _vsock.Write(52, 1000, "from the guest"u8);
        Assert.Equal("from the guest", Encoding.ASCII.GetString(_vsock.Read(host)));
        host.Send("from the host"u8);
        (VsockHeader header, byte[] payload) = _vsock.Take(VsockOperation.ReadWrite);
        Assert.Equal((52u, 1000u), (header.SourcePort, header.DestinationPort));
        Assert.Equal("from the host", Encoding.ASCII.GetString(payload));
        Assert.Equal((uint)"from the guest".Length, header.ForwardedCount);
    }

    [Fact]
    public void A_port_that_nobody_listens_on_is_refused()
    {
        _vsock.Lend(2);
        _vsock.Send(_vsock.Header(VsockOperation.Request, 53, 1000));
        (VsockHeader header, _) = _vsock.Take(VsockOperation.Reset);
        Assert.Equal((53u, 1000u), (header.SourcePort, header.DestinationPort));
    }

    [Theory]
    [InlineData("CONNECT 80\n")]
    [InlineData("connect  80 \r\n")]
    [InlineData("CONNECT 80\nand at once what the guest shall read")]
    public void A_host_reaches_the_guests_port(string greeting)
    {
        _vsock.Lend(8);
        using Socket host = _vsock.Dial(greeting);
        (VsockHeader request, _) = _vsock.Take(VsockOperation.Request);
        Assert.Equal(80u, request.DestinationPort);
        Assert.Empty(_vsock.Read(host));
        _vsock.Send(_vsock.Header(VsockOperation.Response, request.SourcePort, 80));
        Assert.Equal($"OK {request.SourcePort}\n", Encoding.ASCII.GetString(_vsock.Read(host)));
        string rest = greeting[(greeting.IndexOf('\n') + 1)..];
        if (rest.Length > 0)
        {
            Assert.Equal(rest, Encoding.ASCII.GetString(_vsock.Take(VsockOperation.ReadWrite).Payload));
        }

        _vsock.Write(request.SourcePort, 80, "hello"u8);
        Assert.Equal("hello", Encoding.ASCII.GetString(_vsock.Read(host)));
    }

    [Theory]
    [InlineData("HELLO 80\n")]
    [InlineData("CONNECT\n")]
    [InlineData("CONNECT 4294967296\n")]
    [InlineData("CONNECT -1\n")]
    [InlineData("CONNECT 80 81\n")]
    [InlineData("CONNECT 00000000000000000000000000000000000000080\n")]
    public void A_host_that_says_something_else_is_turned_away(string greeting)
    {
        _vsock.Lend(2);
        using Socket host = _vsock.Dial(greeting);
        Assert.True(_vsock.IsClosed(host));
        Assert.Null(_vsock.TryTake());
    }

    [Fact]
    public void A_guest_that_refuses_closes_the_hosts_connection()
    {
        _vsock.Lend(2);
        using Socket host = _vsock.Dial("CONNECT 80\n");
        (VsockHeader request, _) = _vsock.Take(VsockOperation.Request);
        _vsock.Send(_vsock.Header(VsockOperation.Reset, request.SourcePort, 80));
        Assert.True(_vsock.IsClosed(host));
    }

    [Fact]
    public void A_guest_that_does_not_answer_is_not_waited_for()
    {
        using var vsock = new VsockBench(answerTimeoutMs: 500);
        vsock.Lend(2);
        using Socket host = vsock.Dial("CONNECT 80\n");
        vsock.Take(VsockOperation.Request);
        vsock.Bench.PumpUntil(() => vsock.IsClosed(host), "the end of the wait for the guest");
        vsock.Take(VsockOperation.Reset);
    }

    [Fact]
    public void Each_end_may_finish_first_and_the_other_goes_on()
    {
        _vsock.Lend(16);
        using Socket listener = _vsock.Listen(52);
        using Socket first = _vsock.Connect(listener, 52, 1);
        first.Send("last words"u8);
        first.Shutdown(SocketShutdown.Send);
        Assert.Equal("last words", Encoding.ASCII.GetString(_vsock.Take(VsockOperation.ReadWrite).Payload));
        Assert.Equal(VsockHeader.ShutdownSend, _vsock.Take(VsockOperation.Shutdown).Header.Flags);
        _vsock.Write(52, 1, "still here"u8);
        Assert.Equal("still here", Encoding.ASCII.GetString(_vsock.Read(first)));
        _vsock.Send(_vsock.Header(VsockOperation.Shutdown, 52, 1, flags: 3));
        _vsock.Take(VsockOperation.Reset);
        Assert.True(_vsock.IsClosed(first));

        using Socket second = _vsock.Connect(listener, 52, 2);
        _vsock.Write(52, 2, "bye"u8);
        _vsock.Send(_vsock.Header(VsockOperation.Shutdown, 52, 2, flags: VsockHeader.ShutdownSend));
        Assert.Equal("bye", Encoding.ASCII.GetString(_vsock.Read(second)));
        Assert.True(_vsock.IsClosed(second));
        second.Send("an answer"u8);
        Assert.Equal("an answer", Encoding.ASCII.GetString(_vsock.Take(VsockOperation.ReadWrite).Payload));
        second.Close();
        _vsock.Take(VsockOperation.Reset);
        Assert.Equal(2, _vsock.Device.Metrics.ConnsRemoved.Value);
    }

    [Fact]
    public void A_host_that_closes_ends_the_stream_after_all_that_it_sent()
    {
        _vsock.Lend(16);
        using Socket listener = _vsock.Listen(52);
        Socket host = _vsock.Connect(listener, 52, 1);
        host.Send(new byte[5000]);
        host.Close();
        int got = 0;
        (VsockHeader Header, byte[] Payload) packet;
        while (got < 5000)
        {
            _vsock.Bench.Pump();
            packet = _vsock.TryTake()!.Value;
            if (packet.Header.Operation == VsockOperation.ReadWrite)
            {
                got += packet.Payload.Length;
            }
        }

        Assert.Equal(5000, got);
        Assert.NotEqual(0u, _vsock.Take(VsockOperation.Shutdown).Header.Flags & VsockHeader.ShutdownSend);
        _vsock.Send(_vsock.Header(VsockOperation.Reset, 52, 1));
        Assert.Equal(1, _vsock.Device.Metrics.ConnsRemoved.Value);
    }

    [Fact]
    public void No_more_goes_to_a_guest_than_it_has_room_for()
    {
        _vsock.Lend(64);
        using Socket listener = _vsock.Listen(52);
        using Socket host = _vsock.Connect(listener, 52, 1);
        byte[] data = RandomNumberGenerator.GetBytes((int)VsockBench.GuestAllocation + 3000);
        host.Send(data);
        var received = new List<byte>();
        while (_vsock.TryTake() is { } packet)
        {
            received.AddRange(packet.Payload);
        }

        Assert.Equal((int)VsockBench.GuestAllocation, received.Count);
        // Room, lied about: more was forwarded than was ever sent. It can only mean less room.
        _vsock.Send(_vsock.Header(VsockOperation.CreditUpdate, 52, 1, forwarded: VsockBench.GuestAllocation + 1));
        Assert.Null(_vsock.TryTake());
        _vsock.Send(_vsock.Header(VsockOperation.CreditUpdate, 52, 1, forwarded: VsockBench.GuestAllocation));
        while (_vsock.TryTake() is { } packet)
        {
            received.AddRange(packet.Payload);
        }

        Assert.Equal(data, received);
    }

    [Fact]
    public void A_host_that_does_not_read_holds_up_its_own_guest_only()
    {
        _vsock.Lend(200);
        using Socket listener = _vsock.Listen(52);
        using Socket slow = _vsock.Connect(listener, 52, 1);
        using Socket quick = _vsock.Connect(listener, 52, 2);
        byte[] chunk = RandomNumberGenerator.GetBytes(16 * 1024);
        uint sent = 0, forwarded = 0;
        // As a guest does it: no more on the way than the host has said it has room for.
        while (sent - forwarded + chunk.Length <= VsockStream.BufferBytes)
        {
            _vsock.Write(52, 1, chunk);
            sent += (uint)chunk.Length;
            while (_vsock.TryTake() is { } packet)
            {
                Assert.Equal(VsockOperation.CreditUpdate, packet.Header.Operation);
                forwarded = packet.Header.ForwardedCount;
            }

            Assert.InRange(sent, 0u, 16u << 20);
        }

        _vsock.Write(52, 2, "quick"u8);
        Assert.Equal("quick", Encoding.ASCII.GetString(_vsock.Read(quick)));
        // Once the host reads, all comes, in order, and the guest hears of the room.
        using var sum = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        uint read = 0;
        while (read < sent)
        {
            byte[] bytes = _vsock.Read(slow);
            sum.AppendData(bytes);
            read += (uint)bytes.Length;
        }

        byte[] expected = SHA256.HashData(Enumerable.Repeat(chunk, (int)(sent / chunk.Length)).SelectMany(c => c).ToArray());
        Assert.Equal(expected, sum.GetHashAndReset());
        Assert.Equal(sent, LastCredit());

        uint LastCredit()
        {
            while (_vsock.TryTake() is { } packet)
            {
                forwarded = packet.Header.ForwardedCount;
            }

            _vsock.Send(_vsock.Header(VsockOperation.CreditRequest, 52, 1));
            return _vsock.Take(VsockOperation.CreditUpdate).Header.ForwardedCount;
        }
    }

    [Fact]
    public void A_guest_that_sends_more_than_it_may_loses_the_stream()
    {
        _vsock.Lend(64);
        using Socket listener = _vsock.Listen(52);
        using Socket host = _vsock.Connect(listener, 52, 1);
        byte[] chunk = new byte[60 * 1024];
        VsockHeader? last = null;
        for (int i = 0; i < 100 && last?.Operation != VsockOperation.Reset; i++)
        {
            _vsock.Write(52, 1, chunk);
            while (_vsock.TryTake() is { } packet)
            {
                last = packet.Header;
            }
        }

        Assert.Equal(VsockOperation.Reset, last!.Value.Operation);
        Assert.Equal(1, _vsock.Device.Metrics.ConnsKilled.Value);
    }

    [Fact]
    public void A_thousand_streams_take_turns()
    {
        const int Streams = 1000;
        using Socket listener = _vsock.Listen(52);
        var hosts = new Socket[Streams];
        for (uint i = 0; i < Streams; i++)
        {
            _vsock.Lend(1, 64);
            hosts[i] = _vsock.Connect(listener, 52, i);
        }

        // Each has more to say than one packet holds; nobody's second packet comes before everybody's first.
        foreach (Socket host in hosts)
        {
            host.Send(new byte[100]);
        }

        _vsock.Bench.Pump();
        var seen = new int[Streams];
        for (int round = 1; round <= 2; round++)
        {
            for (int i = 0; i < Streams; i += 100)
            {
                _vsock.Lend(100, 64);
                while (_vsock.TryTake() is { } packet)
                {
                    seen[packet.Header.DestinationPort]++;
                }
            }

            Assert.All(seen, count => Assert.Equal(round, count));
        }

        foreach (Socket host in hosts)
        {
            host.Dispose();
        }
    }

    [Fact]
    public void A_reset_ends_every_stream_and_the_device_begins_anew()
    {
        _vsock.Lend(8);
        using Socket listener = _vsock.Listen(52);
        using Socket host = _vsock.Connect(listener, 52, 1);
        using Socket greeting = _vsock.Dial("CONN");
        _vsock.Bench.Driver.Reset();
        Assert.True(_vsock.IsClosed(host));
        Assert.True(_vsock.IsClosed(greeting));
        Assert.Equal(2, _vsock.Device.Metrics.ConnsRemoved.Value);
    }

    [Fact]
    public void A_restored_guest_is_told_that_its_streams_are_gone()
    {
        VsockState state = _vsock.Device.Save();
        _vsock.Bench.Driver.Reset();
        _vsock.Device.Restore(state);
        _vsock.Bench.Start(heapBytes: 1 << 20);
        var buffer = _vsock.Bench.Queues[2].Writable(4);
        _vsock.Bench.Queues[2].Add(buffer);
        _vsock.Bench.Kick(2);
        Assert.Equal(4u, _vsock.Bench.Queues[2].TakeUsed().Length);
        Assert.Equal(new byte[4], _vsock.Bench.Queues[2].Bytes(buffer));
    }

    [Fact]
    public void Packets_for_others_and_packets_without_sense_are_counted_and_dropped()
    {
        _vsock.Lend(4);
        _vsock.Send(_vsock.Header(VsockOperation.Request, 1, 1) with { DestinationCid = 5 });
        _vsock.Send(_vsock.Header(VsockOperation.Request, 1, 1) with { SourceCid = 4 });
        _vsock.Send(_vsock.Header(VsockOperation.ReadWrite, 1, 1, length: 1));
        Assert.Null(_vsock.TryTake());
        Assert.Equal(3, _vsock.Device.Metrics.TxQueueEventFails.Value);
        _vsock.Send(_vsock.Header(VsockOperation.ReadWrite, 1, 1));
        _vsock.Take(VsockOperation.Reset);
        _vsock.Send(_vsock.Header(VsockOperation.Reset, 1, 1));
        Assert.Null(_vsock.TryTake());
    }

    [Fact]
    public void A_guest_that_lends_no_buffers_cannot_make_the_device_remember_without_end()
    {
        for (uint i = 0; i < 1000; i++)
        {
            _vsock.Tx.Add(_vsock.Tx.Readable(_vsock.Header(VsockOperation.Request, 99, i)));
            _vsock.Bench.Kick(1);
            while (_vsock.Tx.TryTakeUsed(out _))
            {
            }

            if (_vsock.Tx.FreeDescriptors == 0)
            {
                break;
            }
        }

        // The device stopped taking packets; with buffers it goes on, and every one is answered.
        Assert.Equal(0, _vsock.Tx.FreeDescriptors);
        int resets = 0;
        for (int i = 0; i < 4; i++)
        {
            _vsock.Lend(128, 64);
            while (_vsock.TryTake() is { } packet)
            {
                Assert.Equal(VsockOperation.Reset, packet.Header.Operation);
                resets++;
            }
        }

        Assert.Equal(512, resets);
    }
}
