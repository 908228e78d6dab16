using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Hearth.Runtime.Pods;

namespace Hearth.Runtime.State;

/// <summary>Tells everyone who watches what happens. Thread: any.</summary>
internal sealed class ChangeFeed
{
    private const int Capacity = 1000;

    private readonly ConcurrentDictionary<Channel<PodChange>, bool> _watchers = new();

    public bool HasWatchers => !_watchers.IsEmpty;

    public void Publish(PodChange change)
    {
        foreach ((Channel<PodChange> watcher, _) in _watchers)
        {
            watcher.Writer.TryWrite(change);
        }
    }

    public IAsyncEnumerable<PodChange> WatchAsync(CancellationToken cancellation)
    {
        // Here, and not when the first is asked for: nothing that happens after this call is missed.
        Channel<PodChange> channel = Channel.CreateBounded<PodChange>(new BoundedChannelOptions(Capacity) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });
        _watchers[channel] = true;
        return ReadAsync(channel, cancellation);
    }

    public void Complete()
    {
        foreach ((Channel<PodChange> watcher, _) in _watchers)
        {
            watcher.Writer.TryComplete();
        }
    }

    private async IAsyncEnumerable<PodChange> ReadAsync(Channel<PodChange> channel, [EnumeratorCancellation] CancellationToken cancellation)
    {
        try
        {
            await foreach (PodChange change in channel.Reader.ReadAllAsync(cancellation).ConfigureAwait(false))
            {
                yield return change;
            }
        }
        finally
        {
            _watchers.TryRemove(channel, out _);
        }
    }
}
