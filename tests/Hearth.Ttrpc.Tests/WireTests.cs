using System.Buffers.Binary;
using Google.Protobuf.WellKnownTypes;
using Hearth.Ttrpc.Framing;

namespace Hearth.Ttrpc.Tests;

/// <summary>Bytes on the wire, written out by hand from the specification, and peers that do not keep to it.</summary>
public sealed class WireTests
{
    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(20);

    // service = 1, method = 2, payload = 3, each length-delimited; the payload is StringValue{value="hi"}.
    private static readonly byte[] s_echoRequest =
    [
        0x0a, 16, .. "hearth.test.Echo"u8,
        0x12, 4, .. "Echo"u8,
        0x1a, 4, 0x0a, 2, (byte)'h', (byte)'i',
    ];

    [Fact]
    public async Task The_client_sends_what_the_specification_says()
    {
        (Stream near, Stream far) = DuplexPipe.Create();
        await using var client = new TtrpcClient(near);
        Task<StringValue> call = client.CallAsync(
            "s.S", "M", new StringValue { Value = "hi" }, StringValue.Parser, TimeSpan.FromSeconds(300), [new("k", "v")]);
        byte[] expected =
        [
            0, 0, 0, 31, 0, 0, 0, 1, 1, 0,
            0x0a, 3, .. "s.S"u8,
            0x12, 1, .. "M"u8,
            0x1a, 4, 0x0a, 2, .. "hi"u8,
            // timeout_nano = 300,000,000,000 as a varint.
            0x20, 0x80, 0xf0, 0x92, 0xcb, 0xdd, 0x08,
            0x2a, 6, 0x0a, 1, .. "k"u8, 0x12, 1, .. "v"u8,
        ];
        expected[3] = (byte)(expected.Length - 10);

        Assert.Equal(expected, await ReadAsync(far, expected.Length));

        // An OK response without a status, as a peer may send it.
        await far.WriteAsync((byte[])[0, 0, 0, 6, 0, 0, 0, 1, 2, 0, 0x12, 4, 0x0a, 2, (byte)'y', (byte)'o']);
        Assert.Equal("yo", (await call.WaitAsync(s_deadline)).Value);
    }

    [Fact]
    public async Task The_server_answers_what_the_specification_says()
    {
        await using var peer = new Peer();
        await peer.SendAsync(1, 1, 0, s_echoRequest);

        // An empty status (OK) and the payload.
        Assert.Equal((byte[])[0, 0, 0, 8, 0, 0, 0, 1, 2, 0, 0x0a, 0, 0x12, 4, 0x0a, 2, (byte)'h', (byte)'i'], await ReadAsync(peer.Stream, 18));
    }

    [Fact]
    public async Task A_stream_ends_with_a_data_frame_that_is_closed_and_without_data()
    {
        await using var peer = new Peer();
        await peer.SendAsync(3, 1, 1, [0x0a, 16, .. "hearth.test.Echo"u8, 0x12, 5, .. "Count"u8, 0x1a, 2, 0x08, 2]);

        Assert.Equal(
            (byte[])[0, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 2, 0, 0, 0, 3, 3, 0, 8, 1, 0, 0, 0, 0, 0, 0, 0, 3, 3, 5],
            await ReadAsync(peer.Stream, 32));
    }

    [Theory]
    [InlineData(2u, "odd")]
    [InlineData(0u, "odd")]
    [InlineData(5u, "again")]
    [InlineData(3u, "again")]
    public async Task A_stream_id_that_is_even_or_old_is_refused(uint streamId, string words)
    {
        await using var peer = new Peer();
        await peer.SendAsync(5, 1, 0, s_echoRequest);
        await ReadAsync(peer.Stream, 18);

        await peer.SendAsync(streamId, 1, 0, s_echoRequest);

        (StatusCode code, string message) = await peer.ReadStatusAsync(streamId);
        Assert.Equal(StatusCode.InvalidArgument, code);
        Assert.Contains(words, message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_frame_that_is_too_long_is_read_over_and_refused()
    {
        await using var peer = new Peer();
        await peer.SendAsync(1, 1, 0, new byte[(4 << 20) + 1]);
        Assert.Equal(StatusCode.ResourceExhausted, (await peer.ReadStatusAsync(1)).Code);

        await peer.SendAsync(3, 1, 0, s_echoRequest);
        Assert.Equal(18, (await ReadAsync(peer.Stream, 18)).Length);
    }

    [Fact]
    public async Task A_request_that_is_no_protobuf_is_an_invalid_argument()
    {
        await using var peer = new Peer();
        await peer.SendAsync(1, 1, 0, [0x0a, 200]);
        Assert.Equal(StatusCode.InvalidArgument, (await peer.ReadStatusAsync(1)).Code);

        await peer.SendAsync(3, 1, 0, [.. s_echoRequest.AsSpan(0, 24), 0x1a, 1, 0x0a]);
        Assert.Equal(StatusCode.InvalidArgument, (await peer.ReadStatusAsync(3)).Code);
    }

    [Fact]
    public async Task Data_for_a_stream_that_never_was_is_refused_and_for_one_that_ended_is_dropped()
    {
        await using var peer = new Peer();
        await peer.SendAsync(1, 1, 0, s_echoRequest);
        await ReadAsync(peer.Stream, 18);
        await peer.SendAsync(1, 3, 0, [1, 2, 3]);

        await peer.SendAsync(9, 3, 0, [1, 2, 3]);

        Assert.Equal(StatusCode.InvalidArgument, (await peer.ReadStatusAsync(9)).Code);
    }

    [Fact]
    public async Task A_frame_of_an_unknown_type_is_passed_over()
    {
        await using var peer = new Peer();
        await peer.SendAsync(1, 77, 0, [1, 2, 3]);
        await peer.SendAsync(1, 1, 0, s_echoRequest);

        Assert.Equal(18, (await ReadAsync(peer.Stream, 18)).Length);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(7)]
    [InlineData(15)]
    public async Task A_client_that_leaves_inside_a_frame_ends_its_connection_only(int bytes)
    {
        var peer = new Peer();
        byte[] frame = [0, 0, 0, 40, 0, 0, 0, 1, 1, 0, .. s_echoRequest];
        await peer.Stream.WriteAsync(frame.AsMemory(0, bytes));

        await peer.DisposeAsync();
    }

    [Fact]
    public async Task A_server_that_leaves_fails_the_calls_under_way_and_the_later_ones()
    {
        (Stream near, Stream far) = DuplexPipe.Create();
        await using var client = new TtrpcClient(near);
        Task<Empty> call = client.CallAsync("s.S", "M", new Empty(), Empty.Parser);
        using TtrpcStream<Empty> stream = await client.OpenServerStreamAsync("s.S", "N", new Empty(), Empty.Parser);

        await far.DisposeAsync();

        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<TtrpcException>(() => call.WaitAsync(s_deadline))).Code);
        TtrpcException ended = await Assert.ThrowsAsync<TtrpcException>(async () =>
        {
            await foreach (Empty _ in stream.ReadAllAsync())
            {
            }
        });
        Assert.Equal(StatusCode.Unavailable, ended.Code);
        await client.Closed.WaitAsync(s_deadline);
        TtrpcException later = await Assert.ThrowsAsync<TtrpcException>(() => client.CallAsync("s.S", "M", new Empty(), Empty.Parser).WaitAsync(s_deadline));
        Assert.Equal(StatusCode.Unavailable, later.Code);
    }

    [Theory]
    [InlineData(new byte[] { 0x0a, 200 }, StatusCode.Internal)]
    [InlineData(new byte[] { 0x0a, 2, 0x08, 99 }, StatusCode.Unknown)]
    [InlineData(new byte[] { 0x12, 1, 0x0a }, StatusCode.Internal)]
    public async Task A_server_that_answers_nonsense_fails_the_call_and_not_the_client(byte[] response, StatusCode code)
    {
        (Stream near, Stream far) = DuplexPipe.Create();
        await using var client = new TtrpcClient(near);
        Task<StringValue> call = client.CallAsync("s.S", "M", new Empty(), StringValue.Parser);
        // Nobody asked for these.
        await far.WriteAsync((byte[])[0, 0, 0, 1, 0, 0, 0, 99, 2, 0, 0xff]);
        await far.WriteAsync((byte[])[0, 0, 0, 1, 0, 0, 0, 2, 3, 0, 0xff]);

        await far.WriteAsync((byte[])[0, 0, 0, (byte)response.Length, 0, 0, 0, 1, 2, 0, .. response]);

        Assert.Equal(code, (await Assert.ThrowsAsync<TtrpcException>(() => call.WaitAsync(s_deadline))).Code);
    }

    [Fact]
    public async Task Calls_under_way_are_cancelled_when_their_client_leaves()
    {
        var peer = new Peer();
        await peer.SendAsync(1, 1, 0, [0x0a, 16, .. "hearth.test.Echo"u8, 0x12, 4, .. "Wait"u8]);
        await peer.SendAsync(3, 1, 0, s_echoRequest);
        await ReadAsync(peer.Stream, 18);

        await peer.DisposeAsync();
    }

    [Fact]
    public async Task A_handler_is_told_that_its_answer_is_sent_when_it_is_and_not_before()
    {
        var sent = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var peer = new Peer(new TtrpcService("s.S").Unary("M", Empty.Parser, (_, call) =>
        {
            call.Answered = sent.SetResult;
            // More than a socket holds.
            return Task.FromResult(new StringValue { Value = new string('x', 2 << 20) });
        }));
        await peer.SendAsync(1, 1, 0, [0x0a, 3, .. "s.S"u8, 0x12, 1, .. "M"u8]);

        FrameHeader header = FrameHeader.Read(await ReadAsync(peer.Stream, 10));
        Assert.False(sent.Task.IsCompleted);

        await ReadAsync(peer.Stream, (int)header.Length);
        await sent.Task.WaitAsync(s_deadline);
    }

    private static async Task<byte[]> ReadAsync(Stream stream, int count)
    {
        byte[] bytes = new byte[count];
        using var limit = new CancellationTokenSource(s_deadline);
        await stream.ReadExactlyAsync(bytes, limit.Token);
        return bytes;
    }

    /// <summary>A client without a client's manners. Disposing it waits for the server to have ended the connection.</summary>
    private sealed class Peer : IAsyncDisposable
    {
        private readonly Task _serving;

        public Peer(TtrpcService? service = null)
        {
            (Stream, Stream far) = DuplexPipe.Create();
            _serving = new TtrpcServer(service ?? EchoService.Create()).ServeAsync(far);
        }

        public Stream Stream { get; }

        public async Task SendAsync(uint streamId, byte type, byte flags, byte[] payload)
        {
            byte[] frame = new byte[10 + payload.Length];
            BinaryPrimitives.WriteInt32BigEndian(frame, payload.Length);
            BinaryPrimitives.WriteUInt32BigEndian(frame.AsSpan(4), streamId);
            frame[8] = type;
            frame[9] = flags;
            payload.CopyTo(frame, 10);
            await Stream.WriteAsync(frame);
        }

        public async Task<(StatusCode Code, string Message)> ReadStatusAsync(uint streamId)
        {
            FrameHeader header = FrameHeader.Read(await ReadAsync(Stream, 10));
            Assert.Equal((streamId, MessageType.Response), (header.StreamId, header.Type));
            Wire.Status status = Wire.Response.Parser.ParseFrom(await ReadAsync(Stream, (int)header.Length)).Status;
            return ((StatusCode)status.Code, status.Message);
        }

        public async ValueTask DisposeAsync()
        {
            await Stream.DisposeAsync();
            await _serving.WaitAsync(s_deadline);
        }
    }
}
