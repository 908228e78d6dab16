using System.Collections.Concurrent;
using System.Threading.Channels;
using Google.Protobuf;
using Hearth.Ttrpc.Framing;

namespace Hearth.Ttrpc;

/// <summary>One client of a server. The reader is one task; each call is another.</summary>
internal sealed class ServerConnection
{
    private readonly TtrpcServer _server;
    private readonly FrameChannel _channel;
    private readonly ConcurrentDictionary<uint, ServerCall> _calls = new();
    private readonly ConcurrentDictionary<uint, Task> _running = new();
    private long _requestBytes;
    private uint _lastStreamId;

    public ServerConnection(TtrpcServer server, Stream stream)
    {
        _server = server;
        _channel = new FrameChannel(stream);
    }

    public async Task RunAsync(CancellationToken cancellation)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        try
        {
            await ReadAsync(ended.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or OperationCanceledException)
        {
            // The peer is gone, or the server ends: the same to the calls under way.
        }
        finally
        {
            await ended.CancelAsync().ConfigureAwait(false);
            // Closed first: a call may be waiting for a peer that does not read.
            await _channel.DisposeAsync().ConfigureAwait(false);
            await Task.WhenAll(_running.Values).ConfigureAwait(false);
        }
    }

    private async Task ReadAsync(CancellationToken cancellation)
    {
        while (await _channel.ReadAsync(cancellation).ConfigureAwait(false) is { } frame)
        {
            FrameHeader header = frame.Header;
            try
            {
                switch (header.Type)
                {
                    case MessageType.Request:
                        StartCall(frame, cancellation);
                        break;
                    case MessageType.Data:
                        await TakeDataAsync(frame, cancellation).ConfigureAwait(false);
                        break;
                    default:
                        // What a later version might send. Answering it could start a conversation of errors.
                        break;
                }
            }
            catch (TtrpcException refused)
            {
                await AnswerAsync(header.StreamId, refused.Code, refused.Message).ConfigureAwait(false);
            }
        }
    }

    private void StartCall(Frame frame, CancellationToken cancellation)
    {
        uint id = frame.Header.StreamId;
        if (id % 2 != 1)
        {
            throw new TtrpcException(StatusCode.InvalidArgument, "A client's stream ids are odd.");
        }

        if (id <= _lastStreamId)
        {
            throw new TtrpcException(StatusCode.InvalidArgument, "A stream id cannot be used again.");
        }

        _lastStreamId = id;
        if (frame.Payload is null)
        {
            throw TooLong(frame.Header);
        }

        Wire.Request request = TtrpcService.Parse(Wire.Request.Parser, frame.Payload);
        TtrpcMethod method = _server.Find(request.Service, request.Method);
        long bytes = frame.Payload.Length;
        if (_calls.Count >= _server.MaxCalls || Interlocked.Read(ref _requestBytes) + bytes > _server.MaxRequestBytes)
        {
            throw new TtrpcException(StatusCode.ResourceExhausted, "This connection has too many calls under way.");
        }

        Interlocked.Add(ref _requestBytes, bytes);
        var call = new ServerCall(_channel, id, request, frame.Header.Flags.HasFlag(FrameFlags.RemoteOpen), cancellation);
        _calls[id] = call;
        byte[] payload = request.Payload.ToByteArray();
        // Not on the reader: a handler that computes or blocks would hold up the connection. Listed before it starts, because
        // it takes itself off the list.
        var start = new Task<Task>(() => RunAsync(call, method, payload, bytes));
        _running[id] = start.Unwrap();
        start.Start(TaskScheduler.Default);
    }

    private async Task RunAsync(ServerCall call, TtrpcMethod method, byte[] payload, long bytes)
    {
        try
        {
            await AnswerAsync(call, method, payload).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or OperationCanceledException)
        {
            // Nobody is there to be answered.
        }
        finally
        {
            _calls.TryRemove(call.StreamId, out _);
            Interlocked.Add(ref _requestBytes, -bytes);
            call.Dispose();
            _running.TryRemove(call.StreamId, out _);
            call.Context.Answered?.Invoke();
        }
    }

    private async Task AnswerAsync(ServerCall call, TtrpcMethod method, byte[] payload)
    {
        try
        {
            IMessage? answer = await method.Run(call, payload).ConfigureAwait(false);
            if (!method.Streams)
            {
                var response = new Wire.Response { Status = new Wire.Status(), Payload = UnsafeByteOperations.UnsafeWrap(answer!.ToByteArray()) };
                await _channel.WriteAsync(call.StreamId, MessageType.Response, FrameFlags.None, response, default).ConfigureAwait(false);
                return;
            }
        }
        catch (TtrpcException e)
        {
            await AnswerAsync(call.StreamId, e.Code, e.Message).ConfigureAwait(false);
            return;
        }
        catch (OperationCanceledException)
        {
            await AnswerAsync(call.StreamId, StatusCode.DeadlineExceeded, "The call's time limit is over.").ConfigureAwait(false);
            return;
        }
        catch (Exception e)
        {
            // The handler's own, or the connection's, which then fails this too.
            await AnswerAsync(call.StreamId, StatusCode.Unknown, e.Message).ConfigureAwait(false);
            return;
        }

        await _channel.WriteAsync(call.StreamId, MessageType.Data, FrameFlags.RemoteClosed | FrameFlags.NoData, null, default).ConfigureAwait(false);
    }

    private async ValueTask TakeDataAsync(Frame frame, CancellationToken cancellation)
    {
        FrameHeader header = frame.Header;
        if (!_calls.TryGetValue(header.StreamId, out ServerCall? call))
        {
            // Sent before the client could know that the call is over, or to a stream that never was.
            if (header.StreamId > _lastStreamId || header.StreamId % 2 != 1)
            {
                throw new TtrpcException(StatusCode.InvalidArgument, "Data for a stream that was not opened.");
            }

            return;
        }

        if (frame.Payload is null)
        {
            call.Incoming.Writer.TryComplete(TooLong(header));
            return;
        }

        if (!header.Flags.HasFlag(FrameFlags.NoData))
        {
            try
            {
                await call.Incoming.Writer.WriteAsync(frame.Payload, cancellation).ConfigureAwait(false);
            }
            catch (ChannelClosedException)
            {
                // The handler has ended, or the client sends more after its end.
            }
        }

        if (header.Flags.HasFlag(FrameFlags.RemoteClosed))
        {
            call.Incoming.Writer.TryComplete();
        }
    }

    private ValueTask AnswerAsync(uint streamId, StatusCode code, string message)
    {
        // A message of a handler's own making may be of any length; its first part says enough.
        const int longest = 64 << 10;
        var status = new Wire.Status { Code = (int)code, Message = message.Length > longest ? message[..longest] : message };
        return _channel.WriteAsync(streamId, MessageType.Response, FrameFlags.None, new Wire.Response { Status = status }, default);
    }

    private static TtrpcException TooLong(FrameHeader header) =>
        new(StatusCode.ResourceExhausted, $"The message has {header.Length} bytes; {FrameHeader.MaxLength} is the most.");
}
