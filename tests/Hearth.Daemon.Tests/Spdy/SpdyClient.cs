using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.IO.Pipelines;
using Hearth.Daemon.Tests.Streaming;
using Hearth.Programs.Daemon.Spdy;

namespace Hearth.Daemon.Tests.Spdy;

/// <summary>A client of SPDY/3.1, from its draft: opens streams, and reads what the server sends into them.</summary>
internal sealed class SpdyClient : IAsyncDisposable
{
    private readonly Stream _transport;
    private readonly HeaderBlocks _blocks = new();
    private readonly HeaderInflater _replies = new();
    private readonly ConcurrentDictionary<uint, ClientStream> _streams = new();
    private readonly SemaphoreSlim _writing = new(1, 1);
    private readonly Task _reading;
    private uint _next = 1;

    public SpdyClient(Stream transport)
    {
        _transport = transport;
        _reading = ReadAsync();
    }

    /// <summary>The body of the GOAWAY that came.</summary>
    public TaskCompletionSource<byte[]> GoneAway { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public System.Threading.Channels.Channel<byte[]> Pings { get; } = System.Threading.Channels.Channel.CreateUnbounded<byte[]>();

    public async Task<ClientStream> OpenAsync(params (string Name, string Value)[] headers)
    {
        uint id = _next;
        _next += 2;
        var stream = new ClientStream(this, id);
        _streams[id] = stream;
        byte[] block = _blocks.Compress(headers.Select(static header => KeyValuePair.Create(header.Name, header.Value)).ToArray());
        var body = new byte[10 + block.Length];
        BinaryPrimitives.WriteUInt32BigEndian(body, id);
        block.CopyTo(body, 10);
        await SendControlAsync(SpdyFrameType.SynStream, body);
        return stream;
    }

    /// <summary>Opens it and waits for the reply.</summary>
    public async Task<ClientStream> OpenedAsync(params (string Name, string Value)[] headers)
    {
        ClientStream stream = await OpenAsync(headers);
        Assert.True(await stream.Accepted.Task.WaitAsync(StreamingBench.Deadline), "the stream was refused");
        return stream;
    }

    public Task SendControlAsync(SpdyFrameType type, byte[] body)
    {
        var frame = new byte[8 + body.Length];
        SpdyFrameHeader.WriteControl(frame, type, 0, body.Length);
        body.CopyTo(frame, 8);
        return SendAsync(frame);
    }

    public async Task SendAsync(byte[] frame)
    {
        await _writing.WaitAsync();
        try
        {
            await _transport.WriteAsync(frame);
        }
        finally
        {
            _writing.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _transport.DisposeAsync();
        await _reading;
        _blocks.Dispose();
        _replies.Dispose();
        _writing.Dispose();
    }

    private async Task ReadAsync()
    {
        try
        {
            var header = new byte[8];
            while (true)
            {
                await _transport.ReadExactlyAsync(header);
                await TakeAsync(SpdyFrameHeader.Read(header));
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or OperationCanceledException or System.Net.WebSockets.WebSocketException)
        {
            foreach (ClientStream stream in _streams.Values)
            {
                stream.Incoming.Writer.Complete();
                stream.Accepted.TrySetResult(false);
            }

            GoneAway.TrySetResult([]);
        }
    }

    private async Task TakeAsync(SpdyFrameHeader header)
    {
        var body = new byte[header.Length];
        await _transport.ReadExactlyAsync(body);
        if (!header.IsControl)
        {
            ClientStream stream = _streams[header.StreamId];
            await stream.Incoming.Writer.WriteAsync(body);
            if (header.IsFin)
            {
                await stream.Incoming.Writer.CompleteAsync();
            }

            return;
        }

        switch (header.Type)
        {
            case SpdyFrameType.SynReply:
                Assert.Empty(_replies.Read(body.AsSpan(4)));
                _streams[BinaryPrimitives.ReadUInt32BigEndian(body)].Accepted.SetResult(true);
                break;
            case SpdyFrameType.RstStream:
                if (_streams.TryGetValue(BinaryPrimitives.ReadUInt32BigEndian(body), out ClientStream? reset))
                {
                    reset.Accepted.TrySetResult(false);
                    await reset.Incoming.Writer.CompleteAsync();
                }

                break;
            case SpdyFrameType.Ping:
                Pings.Writer.TryWrite(body);
                break;
            case SpdyFrameType.GoAway:
                // Clients of Kubernetes close on it.
                GoneAway.TrySetResult(body);
                await _transport.DisposeAsync();
                break;
            default:
                Assert.Fail($"the server sent a frame of type {header.Type}");
                break;
        }
    }

    /// <summary>One of its streams.</summary>
    internal sealed class ClientStream(SpdyClient client, uint id)
    {
        public Pipe Incoming { get; } = new(new PipeOptions(pauseWriterThreshold: 0));

        public TaskCompletionSource<bool> Accepted { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public async Task WriteAsync(ReadOnlyMemory<byte> data, bool fin = false)
        {
            var frame = new byte[8 + data.Length];
            SpdyFrameHeader.WriteData(frame, id, fin ? SpdyFrameHeader.Fin : (byte)0, data.Length);
            data.CopyTo(frame.AsMemory(8));
            await client.SendAsync(frame);
        }

        public Task ResetAsync()
        {
            var body = new byte[8];
            BinaryPrimitives.WriteUInt32BigEndian(body, id);
            body[7] = 5;
            return client.SendControlAsync(SpdyFrameType.RstStream, body);
        }

        /// <summary>To its end.</summary>
        public async Task<byte[]> ReadToEndAsync()
        {
            using var all = new MemoryStream();
            await Incoming.Reader.CopyToAsync(all).WaitAsync(StreamingBench.Deadline);
            return all.ToArray();
        }

        public async Task<byte[]> ReadAsync(int count)
        {
            ReadResult result = await Incoming.Reader.ReadAtLeastAsync(count).AsTask().WaitAsync(StreamingBench.Deadline);
            byte[] bytes = [.. System.Buffers.BuffersExtensions.ToArray(result.Buffer.Slice(0, Math.Min(count, result.Buffer.Length)))];
            Incoming.Reader.AdvanceTo(result.Buffer.GetPosition(bytes.Length));
            return bytes;
        }
    }
}
