using System.Threading.Channels;
using Hearth.Shim.Protocol;
using Hearth.Ttrpc;

namespace Hearth.Shim.Events;

/// <summary>Hands the pod's events to whoever listens: first what has ended, then what happens. Thread: any.</summary>
internal sealed class PodEventFeed
{
    private const int MaxWaiting = 4096;

    // Guards _listeners, and the order of events.
    private readonly Lock _lock = new();
    private readonly List<ChannelWriter<PodEvent>> _listeners = [];

    public void Publish(PodEvent happened)
    {
        lock (_lock)
        {
            foreach (ChannelWriter<PodEvent> listener in _listeners)
            {
                if (!listener.TryWrite(happened))
                {
                    listener.TryComplete(new TtrpcException(StatusCode.ResourceExhausted, $"More than {MaxWaiting} events wait to be read: begin again."));
                }
            }
        }
    }

    /// <summary>Hands on until the call ends.</summary>
    /// <param name="before">What has ended, as events; asked for while none can be published.</param>
    /// <param name="writer">Whom.</param>
    /// <param name="cancellation">The call's end.</param>
    public async Task ForwardAsync(Func<IEnumerable<PodEvent>> before, ResponseWriter<PodEvent> writer, CancellationToken cancellation)
    {
        var channel = Channel.CreateBounded<PodEvent>(MaxWaiting);
        PodEvent[] ended;
        lock (_lock)
        {
            ended = [.. before()];
            _listeners.Add(channel.Writer);
        }

        try
        {
            foreach (PodEvent happened in ended)
            {
                await writer.WriteAsync(happened).ConfigureAwait(false);
            }

            await foreach (PodEvent happened in channel.Reader.ReadAllAsync(cancellation).ConfigureAwait(false))
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
