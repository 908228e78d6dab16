using System.Threading.Channels;
using Google.Protobuf;
using Hearth.Ttrpc.Framing;

namespace Hearth.Ttrpc;

/// <summary>A call that a client has under way.</summary>
internal sealed class ClientCall
{
    // Messages that wait for who called; then the connection's reader waits too.
    private const int MaxWaiting = 64;

    private readonly TaskCompletionSource<byte[]> _response = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public ClientCall(uint streamId)
    {
        StreamId = streamId;
        // Where nobody waits for it (a stream's), a failure is told by the stream.
        _response.Task.ContinueWith(static task => task.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
    }

    public uint StreamId { get; }

    /// <summary>The answer's payload.</summary>
    public Task<byte[]> Response => _response.Task;

    /// <summary>The payloads of data frames.</summary>
    public Channel<byte[]> Incoming { get; } = Channel.CreateBounded<byte[]>(MaxWaiting);

    public async ValueTask TakeAsync(Frame frame, CancellationToken cancellation)
    {
        if (frame.Payload is null)
        {
            Fail(new TtrpcException(StatusCode.ResourceExhausted, $"The answer has {frame.Header.Length} bytes; {FrameHeader.MaxLength} is the most."));
            return;
        }

        switch (frame.Header.Type)
        {
            case MessageType.Response:
                TakeResponse(frame.Payload);
                break;
            case MessageType.Data:
                await TakeDataAsync(frame.Header.Flags, frame.Payload, cancellation).ConfigureAwait(false);
                break;
            default:
                break;
        }
    }

    public void Fail(TtrpcException failure)
    {
        _response.TrySetException(failure);
        Incoming.Writer.TryComplete(failure);
    }

    /// <summary>Nobody waits any more: lets a reader go that waits for room here.</summary>
    public void Abandon() => Incoming.Writer.TryComplete();

    private void TakeResponse(byte[] payload)
    {
        try
        {
            Wire.Response response = Wire.Response.Parser.ParseFrom(payload);
            if (response.Status is { Code: not 0 } status)
            {
                Fail(new TtrpcException(Enum.IsDefined((StatusCode)status.Code) ? (StatusCode)status.Code : StatusCode.Unknown, status.Message));
                return;
            }

            _response.TrySetResult(response.Payload.ToByteArray());
            Incoming.Writer.TryComplete();
        }
        catch (InvalidProtocolBufferException e)
        {
            Fail(new TtrpcException(StatusCode.Internal, $"The answer is no ttrpc.Response: {e.Message}", e));
        }
    }

    private async ValueTask TakeDataAsync(FrameFlags flags, byte[] payload, CancellationToken cancellation)
    {
        if (!flags.HasFlag(FrameFlags.NoData))
        {
            try
            {
                await Incoming.Writer.WriteAsync(payload, cancellation).ConfigureAwait(false);
            }
            catch (ChannelClosedException)
            {
                return;
            }
        }

        if (flags.HasFlag(FrameFlags.RemoteClosed))
        {
            Incoming.Writer.TryComplete();
            _response.TrySetResult([]);
        }
    }
}
