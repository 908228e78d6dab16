using System.Threading.Channels;
using Google.Protobuf.WellKnownTypes;
using Hearth.Agent.Protocol;
using Hearth.Ttrpc;

namespace Hearth.Programs.Agent.Processes;

/// <summary>Tells everyone who listens what happens. Thread: any.</summary>
internal sealed class EventHub
{
    private const int MaxWaiting = 4096;

    // Guards _listeners, and the order of events.
    private readonly Lock _lock = new();
    private readonly List<ChannelWriter<Event>> _listeners = [];

    public void Publish(Event happened)
    {
        happened.At = Timestamp.FromDateTimeOffset(DateTimeOffset.UtcNow);
        lock (_lock)
        {
            for (int i = _listeners.Count - 1; i >= 0; i--)
            {
                if (!_listeners[i].TryWrite(happened))
                {
                    _listeners[i].TryComplete(new TtrpcException(StatusCode.ResourceExhausted, $"More than {MaxWaiting} events wait to be read."));
                    _listeners.RemoveAt(i);
                }
            }
        }
    }

    /// <summary>Hands on what happens from now on until the call ends.</summary>
    public async Task ForwardAsync(ResponseWriter<Event> writer, CancellationToken cancellation)
    {
        var channel = Channel.CreateBounded<Event>(MaxWaiting);
        lock (_lock)
        {
            _listeners.Add(channel.Writer);
        }

        try
        {
            await foreach (Event happened in channel.Reader.ReadAllAsync(cancellation).ConfigureAwait(false))
            {
                await writer.WriteAsync(happened).ConfigureAwait(false);
            }
        }
        finally
        {
            lock (_lock)
            {
                _listeners.Remove(channel.Writer);
            }
        }
    }
}
