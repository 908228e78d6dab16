using System.Runtime.CompilerServices;
using Google.Protobuf;
using Hearth.Ttrpc.Framing;

namespace Hearth.Ttrpc;

/// <summary>
/// The client's side of a streaming call. Who holds one reads it or disposes it: a full stream holds up its connection.
/// Thread: one reader, one writer.
/// </summary>
public sealed class TtrpcStream<TResponse> : IDisposable
    where TResponse : IMessage<TResponse>
{
    private readonly TtrpcClient _client;
    private readonly ClientCall _call;
    private readonly MessageParser<TResponse> _parser;

    internal TtrpcStream(TtrpcClient client, ClientCall call, MessageParser<TResponse> parser)
    {
        _client = client;
        _call = call;
        _parser = parser;
    }

    /// <summary>Sends a message to a method that takes a stream.</summary>
    /// <exception cref="TtrpcException">Unavailable: the connection is gone. ResourceExhausted: the message is too long.</exception>
    public ValueTask SendAsync(IMessage message, CancellationToken cancellation = default) => _client.SendAsync(_call, FrameFlags.None, message, cancellation);

    /// <summary>Says that nothing more is sent.</summary>
    public ValueTask CloseSendAsync(CancellationToken cancellation = default) =>
        _client.SendAsync(_call, FrameFlags.RemoteClosed | FrameFlags.NoData, null, cancellation);

    /// <summary>What the server sends, to its end.</summary>
    /// <exception cref="TtrpcException">The server ended with an error, or the connection is gone.</exception>
    public async IAsyncEnumerable<TResponse> ReadAllAsync([EnumeratorCancellation] CancellationToken cancellation = default)
    {
        await foreach (byte[] payload in _call.Incoming.Reader.ReadAllAsync(cancellation).ConfigureAwait(false))
        {
            yield return TtrpcClient.Parse(_parser, payload);
        }
    }

    /// <summary>Gives the call up.</summary>
    public void Dispose() => _client.Forget(_call);
}
