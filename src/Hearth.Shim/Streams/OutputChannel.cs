using Hearth.Ttrpc;

namespace Hearth.Shim.Streams;

/// <summary>
/// One output of a process on its way from the guest: to its sink, and to the clients that have attached. Thread: any.
/// </summary>
internal sealed class OutputChannel
{
    private const int BufferSize = 32 << 10;
    private const int MaxClients = 64;

    private readonly IOutputSink? _sink;
    private readonly Action<string> _tell;

    // Guards _clients, _arrived and _ended.
    private readonly Lock _lock = new();
    private readonly List<AttachedClient> _clients = [];
    private TaskCompletionSource _arrived = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _ended;

    /// <param name="sink">Where it goes; null: it waits for clients.</param>
    /// <param name="tell">Takes what the pod's log should say.</param>
    public OutputChannel(IOutputSink? sink, Action<string> tell)
    {
        _sink = sink;
        _tell = tell;
    }

    /// <summary>Adds a client. It is answered first by <paramref name="answer"/>, so that no output comes before that.</summary>
    /// <returns>Its end; null if the output has ended, or there are too many.</returns>
    public async Task<Task?> AttachAsync(Stream connection, Func<ValueTask> answer)
    {
        lock (_lock)
        {
            if (_ended || _clients.Count >= MaxClients)
            {
                return null;
            }
        }

        await answer().ConfigureAwait(false);
        var client = new AttachedClient(connection);
        lock (_lock)
        {
            if (_ended)
            {
                client.End();
                return client.Finished;
            }

            _clients.Add(client);
            _arrived.TrySetResult();
        }

        _ = client.Finished.ContinueWith(_ => Leave(client), TaskScheduler.Default);
        return client.Finished;
    }

    /// <summary>Moves output until its end.</summary>
    /// <param name="open">Connects to the output in the guest; again if the connection breaks.</param>
    /// <param name="cancellation">The process is being removed.</param>
    public async Task PumpAsync(Func<CancellationToken, Task<Stream>> open, CancellationToken cancellation)
    {
        byte[] buffer = GC.AllocateUninitializedArray<byte>(BufferSize);
        bool sinkWorks = _sink is not null;
        try
        {
            await WaitForClientAsync(cancellation).ConfigureAwait(false);
            await using Stream output = await open(cancellation).ConfigureAwait(false);
            int count;
            while ((count = await output.ReadAsync(buffer, cancellation).ConfigureAwait(false)) > 0)
            {
                ReadOnlyMemory<byte> piece = buffer.AsMemory(0, count);
                if (sinkWorks)
                {
                    sinkWorks = await WriteAsync(piece).ConfigureAwait(false);
                }

                await HandOutAsync(piece, cancellation).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or OperationCanceledException or TtrpcException)
        {
            // The guest is gone, or the process is being removed.
        }
        finally
        {
            _sink?.End();
            End();
        }
    }

    private async ValueTask<bool> WriteAsync(ReadOnlyMemory<byte> piece)
    {
        try
        {
            await _sink!.WriteAsync(piece).ConfigureAwait(false);
            return true;
        }
        catch (IOException e)
        {
            // The process goes on: what it writes is lost, as it is when a log's disk is full.
            _tell($"Output is no longer written: {e.Message}");
            return false;
        }
    }

    private async ValueTask HandOutAsync(ReadOnlyMemory<byte> piece, CancellationToken cancellation)
    {
        if (_sink is not null && _clients.Count == 0)
        {
            return;
        }

        await WaitForClientAsync(cancellation).ConfigureAwait(false);
        AttachedClient[] clients;
        lock (_lock)
        {
            clients = [.. _clients];
        }

        for (int i = 0; i < clients.Length; i++)
        {
            // Where nothing else takes the output, the one who has been there longest is waited for.
            if (i == 0 && _sink is null)
            {
                await clients[i].OfferAsync(piece).ConfigureAwait(false);
            }
            else
            {
                clients[i].TryOffer(piece.Span);
            }
        }
    }

    private Task WaitForClientAsync(CancellationToken cancellation)
    {
        lock (_lock)
        {
            if (_sink is not null || _clients.Count > 0)
            {
                return Task.CompletedTask;
            }

            if (_arrived.Task.IsCompleted)
            {
                _arrived = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }

            return _arrived.Task.WaitAsync(cancellation);
        }
    }

    private void Leave(AttachedClient client)
    {
        lock (_lock)
        {
            _clients.Remove(client);
        }
    }

    private void End()
    {
        AttachedClient[] clients;
        lock (_lock)
        {
            _ended = true;
            clients = [.. _clients];
        }

        foreach (AttachedClient client in clients)
        {
            client.End();
        }
    }
}
