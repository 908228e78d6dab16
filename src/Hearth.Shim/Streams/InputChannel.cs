using System.Net.Sockets;
using Hearth.Ttrpc;

namespace Hearth.Shim.Streams;

/// <summary>
/// A process's input on its way to the guest: from a FIFO of the manager's, or from one attached client after another.
/// Thread: any.
/// </summary>
internal sealed class InputChannel : IAsyncDisposable
{
    private const int BufferSize = 16 << 10;

    private static readonly TimeSpan s_farewell = TimeSpan.FromSeconds(10);

    private readonly Func<CancellationToken, Task<Stream>> _open;
    private readonly Func<Task> _closeStdin;
    private readonly bool _once;
    private readonly SemaphoreSlim _opening = new(1);
    private readonly CancellationTokenSource _end = new();
    private Stream? _guest;
    private int _taken;
    private int _ended;

    /// <param name="open">Connects to the input in the guest.</param>
    /// <param name="closeStdin">Tells the agent that it has ended.</param>
    /// <param name="once">Whether the first client's end is the input's.</param>
    public InputChannel(Func<CancellationToken, Task<Stream>> open, Func<Task> closeStdin, bool once)
    {
        _open = open;
        _closeStdin = closeStdin;
        _once = once;
    }

    /// <summary>Lets one client write; false if another does. It must be given back by <see cref="FeedAsync"/>.</summary>
    public bool TryTake() => _ended == 0 && Interlocked.Exchange(ref _taken, 1) == 0;

    /// <summary>Hands on what a client writes until its end.</summary>
    public async Task FeedAsync(Stream client)
    {
        byte[] buffer = new byte[BufferSize];
        try
        {
            Stream guest = await GuestAsync().ConfigureAwait(false);
            int count;
            while ((count = await client.ReadAsync(buffer, _end.Token).ConfigureAwait(false)) > 0)
            {
                await guest.WriteAsync(buffer.AsMemory(0, count), _end.Token).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or OperationCanceledException or TtrpcException)
        {
            // The client is gone, or the process.
        }
        finally
        {
            Volatile.Write(ref _taken, 0);
        }

        if (_once)
        {
            await EndAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Hands on what comes through a FIFO until nobody can write to it any more.</summary>
    public async Task PumpAsync(LoopDescriptor fifo)
    {
        byte[] buffer = new byte[BufferSize];
        try
        {
            // Before a writer has come, a read would say that it is the end.
            await fifo.WaitReadableAsync().ConfigureAwait(false);
            Stream guest = await GuestAsync().ConfigureAwait(false);
            int count;
            while ((count = await fifo.ReadAsync(buffer).ConfigureAwait(false)) > 0)
            {
                await guest.WriteAsync(buffer.AsMemory(0, count), _end.Token).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or OperationCanceledException or TtrpcException)
        {
            // The process is gone, or is being removed.
        }
        finally
        {
            fifo.Dispose();
        }

        await EndAsync().ConfigureAwait(false);
    }

    /// <summary>Ends the input after what has been handed on.</summary>
    public async Task EndAsync()
    {
        if (Interlocked.Exchange(ref _ended, 1) != 0)
        {
            return;
        }

        try
        {
            Stream guest = await GuestAsync().ConfigureAwait(false);
            if (guest is not NetworkStream network)
            {
                await _closeStdin().ConfigureAwait(false);
                return;
            }

            // Half closed, so that the last bytes come before the end; the agent then closes its side.
            network.Socket.Shutdown(SocketShutdown.Send);
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(_end.Token);
            limit.CancelAfter(s_farewell);
            _ = await guest.ReadAsync(new byte[1], limit.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or OperationCanceledException or TtrpcException or SocketException)
        {
            // Nobody is there to be told.
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync().ConfigureAwait(false);
        if (_guest is not null)
        {
            await _guest.DisposeAsync().ConfigureAwait(false);
        }
    }

    // Kept from one client to the next: the connection's end would be the input's.
    private async Task<Stream> GuestAsync()
    {
        await _opening.WaitAsync(_end.Token).ConfigureAwait(false);
        try
        {
            return _guest ??= await _open(_end.Token).ConfigureAwait(false);
        }
        finally
        {
            _opening.Release();
        }
    }
}
