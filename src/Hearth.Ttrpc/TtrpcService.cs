using Google.Protobuf;

namespace Hearth.Ttrpc;

/// <summary>A service by its protobuf name, with its methods. Thread: built on one, then read by any.</summary>
public sealed class TtrpcService
{
    private readonly Dictionary<string, TtrpcMethod> _methods = new(StringComparer.Ordinal);

    /// <param name="name">The name with its package: <c>containerd.task.v2.Task</c>.</param>
    public TtrpcService(string name)
    {
        Name = name;
    }

    public string Name { get; }

    /// <summary>A method that answers one message with one.</summary>
    public TtrpcService Unary<TRequest, TResponse>(
        string method, MessageParser<TRequest> parser, Func<TRequest, CallContext, Task<TResponse>> handler)
        where TRequest : IMessage<TRequest>
        where TResponse : IMessage<TResponse>
    {
        _methods.Add(method, new TtrpcMethod(
            Streams: false,
            async (call, payload) => await handler(Parse(parser, payload), call.Context).ConfigureAwait(false)));
        return this;
    }

    /// <summary>A method that answers one message with any number.</summary>
    public TtrpcService ServerStream<TRequest, TResponse>(
        string method, MessageParser<TRequest> parser, Func<TRequest, ResponseWriter<TResponse>, CallContext, Task> handler)
        where TRequest : IMessage<TRequest>
        where TResponse : IMessage<TResponse>
    {
        _methods.Add(method, new TtrpcMethod(
            Streams: true,
            async (call, payload) =>
            {
                await handler(Parse(parser, payload), new ResponseWriter<TResponse>(call), call.Context).ConfigureAwait(false);
                return null;
            }));
        return this;
    }

    /// <summary>A method with a stream of messages each way.</summary>
    public TtrpcService Duplex<TRequest, TResponse>(
        string method, MessageParser<TRequest> parser, Func<IAsyncEnumerable<TRequest>, ResponseWriter<TResponse>, CallContext, Task> handler)
        where TRequest : IMessage<TRequest>
        where TResponse : IMessage<TResponse>
    {
        _methods.Add(method, new TtrpcMethod(
            Streams: true,
            async (call, _) =>
            {
                await handler(RequestsAsync(call, parser), new ResponseWriter<TResponse>(call), call.Context).ConfigureAwait(false);
                return null;
            }));
        return this;
    }

    internal TtrpcMethod? Find(string method) => _methods.GetValueOrDefault(method);

    internal static T Parse<T>(MessageParser<T> parser, ReadOnlySpan<byte> payload)
        where T : IMessage<T>
    {
        try
        {
            return parser.ParseFrom(payload);
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new TtrpcException(StatusCode.InvalidArgument, $"The payload is no {typeof(T).Name}: {e.Message}", e);
        }
    }

    private static async IAsyncEnumerable<TRequest> RequestsAsync<TRequest>(ServerCall call, MessageParser<TRequest> parser)
        where TRequest : IMessage<TRequest>
    {
        await foreach (byte[] payload in call.Incoming.Reader.ReadAllAsync(call.Context.Cancellation).ConfigureAwait(false))
        {
            yield return Parse(parser, payload);
        }
    }
}

/// <summary>Where a streaming handler puts its answers. Thread: any, one message at a time.</summary>
public sealed class ResponseWriter<T>
    where T : IMessage<T>
{
    private readonly ServerCall _call;

    internal ResponseWriter(ServerCall call)
    {
        _call = call;
    }

    /// <summary>Sends a message; completes when the connection has taken it.</summary>
    public ValueTask WriteAsync(T message) => _call.SendDataAsync(message);
}

/// <summary>A method as the server runs it.</summary>
/// <param name="Streams">Whether it answers by data frames.</param>
/// <param name="Run">Runs it with the request's payload; the answer, or null where <paramref name="Streams"/>.</param>
internal sealed record TtrpcMethod(bool Streams, Func<ServerCall, byte[], Task<IMessage?>> Run);
