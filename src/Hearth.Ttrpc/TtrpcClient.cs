using System.Collections.Concurrent;
using Google.Protobuf;
using Hearth.Ttrpc.Framing;

namespace Hearth.Ttrpc;

/// <summary>
/// Calls over one connection, any number at a time. A connection that ends, or a peer that breaks the protocol, fails every
/// call under way, and every later one, with <see cref="StatusCode.Unavailable"/>. Thread: any.
/// </summary>
public sealed class TtrpcClient : IAsyncDisposable
{
    private readonly FrameChannel _channel;
    private readonly ConcurrentDictionary<uint, ClientCall> _calls = new();
    private readonly CancellationTokenSource _disposed = new();
    private readonly Task _reading;

    // Guards _nextStreamId, and the order of requests on the wire: a server takes only growing ids.
    private readonly SemaphoreSlim _opening = new(1, 1);
    private uint _nextStreamId = 1;
    private volatile TtrpcException? _failure;

    /// <param name="stream">The connection, which the client owns from here on.</param>
    public TtrpcClient(Stream stream)
    {
        _channel = new FrameChannel(stream);
        _reading = Task.Run(ReadAsync);
        Closed = _reading;
    }

    /// <summary>Completes, and never fails, when the connection has ended.</summary>
    public Task Closed { get; }

    /// <summary>One message, and its answer. <c>timeout</c> is the most the call may take, told to the server too; null for no limit.</summary>
    /// <exception cref="TtrpcException">The server's answer, DeadlineExceeded, or Unavailable.</exception>
    /// <exception cref="OperationCanceledException">The call was given up. The server is not told: the protocol has no word for it.</exception>
    public async Task<TResponse> CallAsync<TResponse>(
        string service,
        string method,
        IMessage request,
        MessageParser<TResponse> parser,
        TimeSpan? timeout = null,
        IReadOnlyList<KeyValuePair<string, string>>? metadata = null,
        CancellationToken cancellation = default)
        where TResponse : IMessage<TResponse>
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        if (timeout is { } longest)
        {
            limit.CancelAfter(longest);
        }

        ClientCall? call = null;
        try
        {
            call = await OpenAsync(Request(service, method, request, timeout, metadata), FrameFlags.None, limit.Token).ConfigureAwait(false);
            byte[] payload = await call.Response.WaitAsync(limit.Token).ConfigureAwait(false);
            return Parse(parser, payload);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new TtrpcException(StatusCode.DeadlineExceeded, $"{service}/{method} gave no answer in {timeout!.Value.TotalSeconds:0.###} s.");
        }
        finally
        {
            Forget(call);
        }
    }

    /// <summary>One message, answered by any number.</summary>
    public async Task<TtrpcStream<TResponse>> OpenServerStreamAsync<TResponse>(
        string service, string method, IMessage request, MessageParser<TResponse> parser, CancellationToken cancellation = default)
        where TResponse : IMessage<TResponse>
    {
        ClientCall call = await OpenAsync(Request(service, method, request, null, null), FrameFlags.RemoteClosed, cancellation).ConfigureAwait(false);
        return new TtrpcStream<TResponse>(this, call, parser);
    }

    /// <summary>Messages both ways.</summary>
    public async Task<TtrpcStream<TResponse>> OpenDuplexAsync<TResponse>(
        string service, string method, MessageParser<TResponse> parser, CancellationToken cancellation = default)
        where TResponse : IMessage<TResponse>
    {
        ClientCall call = await OpenAsync(Request(service, method, null, null, null), FrameFlags.RemoteOpen, cancellation).ConfigureAwait(false);
        return new TtrpcStream<TResponse>(this, call, parser);
    }

    /// <summary>Closes the connection.</summary>
    public async ValueTask DisposeAsync()
    {
        await _disposed.CancelAsync().ConfigureAwait(false);
        await _channel.DisposeAsync().ConfigureAwait(false);
        await _reading.ConfigureAwait(false);
    }

    internal async ValueTask SendAsync(ClientCall call, FrameFlags flags, IMessage? message, CancellationToken cancellation)
    {
        try
        {
            await _channel.WriteAsync(call.StreamId, MessageType.Data, flags, message, cancellation).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            throw Gone(e);
        }
    }

    internal void Forget(ClientCall? call)
    {
        if (call is not null)
        {
            _calls.TryRemove(call.StreamId, out _);
            call.Abandon();
        }
    }

    internal static T Parse<T>(MessageParser<T> parser, byte[] payload)
        where T : IMessage<T>
    {
        try
        {
            return parser.ParseFrom(payload);
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new TtrpcException(StatusCode.Internal, $"The answer is no {typeof(T).Name}: {e.Message}", e);
        }
    }

    private static Wire.Request Request(
        string service, string method, IMessage? message, TimeSpan? timeout, IReadOnlyList<KeyValuePair<string, string>>? metadata)
    {
        var request = new Wire.Request { Service = service, Method = method };
        if (message is not null)
        {
            request.Payload = UnsafeByteOperations.UnsafeWrap(message.ToByteArray());
        }

        if (timeout is { } limit)
        {
            request.TimeoutNano = Timeouts.ToNanoseconds(limit);
        }

        foreach ((string key, string value) in metadata ?? [])
        {
            request.Metadata.Add(new Wire.KeyValue { Key = key, Value = value });
        }

        return request;
    }

    private async Task<ClientCall> OpenAsync(Wire.Request request, FrameFlags flags, CancellationToken cancellation)
    {
        await _opening.WaitAsync(cancellation).ConfigureAwait(false);
        ClientCall? call = null;
        try
        {
            if (_nextStreamId > uint.MaxValue - 2)
            {
                throw new TtrpcException(StatusCode.Unavailable, "The connection has used all its stream ids: connect again.");
            }

            call = new ClientCall(_nextStreamId);
            _calls[call.StreamId] = call;
            // After the entry: the reader fails the entries it finds, and sets this before it looks.
            if (_failure is { } failure)
            {
                throw failure;
            }

            await _channel.WriteAsync(call.StreamId, MessageType.Request, flags, request, cancellation).ConfigureAwait(false);
            _nextStreamId += 2;
            return call;
        }
        catch (Exception e)
        {
            Forget(call);
            throw e is IOException or ObjectDisposedException ? Gone(e) : e;
        }
        finally
        {
            _opening.Release();
        }
    }

    private async Task ReadAsync()
    {
        Exception? cause = null;
        try
        {
            while (await _channel.ReadAsync(_disposed.Token).ConfigureAwait(false) is { } frame)
            {
                // A call that was given up has no entry; its late answer is dropped, and so is what nobody asked for.
                if (_calls.TryGetValue(frame.Header.StreamId, out ClientCall? call))
                {
                    await call.TakeAsync(frame, _disposed.Token).ConfigureAwait(false);
                }
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or OperationCanceledException)
        {
            cause = e;
        }

        TtrpcException failure = Gone(cause);
        _failure = failure;
        foreach (ClientCall call in _calls.Values)
        {
            call.Fail(failure);
        }

        await _channel.DisposeAsync().ConfigureAwait(false);
    }

    private static TtrpcException Gone(Exception? cause) => new(StatusCode.Unavailable, "The ttrpc connection is closed.", cause);
}
