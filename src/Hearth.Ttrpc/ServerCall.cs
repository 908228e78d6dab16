using System.Threading.Channels;
using Google.Protobuf;
using Hearth.Ttrpc.Framing;

namespace Hearth.Ttrpc;

/// <summary>A call that a server has under way.</summary>
internal sealed class ServerCall : IDisposable
{
    // Data frames that wait for the handler; then the connection's reader waits too.
    private const int MaxWaiting = 16;

    private readonly FrameChannel _channel;
    private readonly CancellationTokenSource _cancellation;

    public ServerCall(FrameChannel channel, uint streamId, Wire.Request request, bool open, CancellationToken connection)
    {
        _channel = channel;
        StreamId = streamId;
        _cancellation = CancellationTokenSource.CreateLinkedTokenSource(connection);
        if (request.TimeoutNano > 0)
        {
            _cancellation.CancelAfter(Timeouts.FromNanoseconds(request.TimeoutNano));
        }

        Context = new CallContext([.. request.Metadata.Select(static pair => KeyValuePair.Create(pair.Key, pair.Value))], _cancellation.Token);
        if (!open)
        {
            Incoming.Writer.Complete();
        }
    }

    public uint StreamId { get; }

    public CallContext Context { get; }

    /// <summary>What the client sent after its request; complete when it says so.</summary>
    public Channel<byte[]> Incoming { get; } = Channel.CreateBounded<byte[]>(MaxWaiting);

    public ValueTask SendDataAsync(IMessage message) =>
        _channel.WriteAsync(StreamId, MessageType.Data, FrameFlags.None, message, Context.Cancellation);

    public void Dispose()
    {
        // A reader that waits for room in a call that is over must not wait for ever.
        Incoming.Writer.TryComplete();
        _cancellation.Dispose();
    }
}
