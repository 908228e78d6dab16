namespace Hearth.Shim.Streams;

/// <summary>
/// A client that reads a container's output from now on. It has a bounded queue: what does not fit there it misses, unless who
/// writes waits for it. Thread: any; one writer.
/// </summary>
internal sealed class AttachedClient
{
    private const int MaxQueued = 256 << 10;

    private readonly Stream _connection;
    private readonly CancellationTokenSource _gone = new();

    // Guards what follows.
    private readonly Lock _lock = new();
    private readonly Queue<byte[]> _queue = new();
    private int _queued;
    private bool _ending;
    private TaskCompletionSource _changed = NewSignal();
    private TaskCompletionSource _room = NewSignal();

    /// <param name="connection">Owned from here on; it has been answered.</param>
    public AttachedClient(Stream connection)
    {
        _connection = connection;
        Finished = RunAsync();
        _ = WatchAsync();
    }

    /// <summary>Completes, and never fails, when the client is gone or has everything.</summary>
    public Task Finished { get; }

    /// <summary>Queues a copy of a piece of output; false if there is no room for it.</summary>
    public bool TryOffer(ReadOnlySpan<byte> output)
    {
        lock (_lock)
        {
            if (_queued > 0 && _queued + output.Length > MaxQueued)
            {
                return false;
            }

            _queue.Enqueue(output.ToArray());
            _queued += output.Length;
            _changed.TrySetResult();
            return true;
        }
    }

    /// <summary>Queues a copy of a piece of output, and waits for room; returns when the client is gone, too.</summary>
    public async ValueTask OfferAsync(ReadOnlyMemory<byte> output)
    {
        while (!Finished.IsCompleted)
        {
            Task room;
            lock (_lock)
            {
                _room = NewSignal();
                room = _room.Task;
            }

            if (TryOffer(output.Span))
            {
                return;
            }

            await Task.WhenAny(room, Finished).ConfigureAwait(false);
        }
    }

    /// <summary>Ends the connection after what is queued.</summary>
    public void End()
    {
        lock (_lock)
        {
            _ending = true;
            _changed.TrySetResult();
        }
    }

    private async Task RunAsync()
    {
        try
        {
            while (await TakeAsync().ConfigureAwait(false) is { } piece)
            {
                await _connection.WriteAsync(piece, _gone.Token).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or OperationCanceledException)
        {
            // The client is gone.
        }
        finally
        {
            await _connection.DisposeAsync().ConfigureAwait(false);
            _gone.Dispose();
        }
    }

    // It sends nothing: when its side ends, it has left.
    private async Task WatchAsync()
    {
        byte[] nothing = new byte[64];
        try
        {
            CancellationToken gone = _gone.Token;
            while (await _connection.ReadAsync(nothing, gone).ConfigureAwait(false) > 0)
            {
            }

            await _gone.CancelAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or OperationCanceledException)
        {
            // So is everything else then.
        }
    }

    private async ValueTask<byte[]?> TakeAsync()
    {
        while (true)
        {
            Task changed;
            lock (_lock)
            {
                if (_queue.TryDequeue(out byte[]? piece))
                {
                    _queued -= piece.Length;
                    _room.TrySetResult();
                    return piece;
                }

                if (_ending)
                {
                    return null;
                }

                _changed = NewSignal();
                changed = _changed.Task;
            }

            await changed.WaitAsync(_gone.Token).ConfigureAwait(false);
        }
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
