using System.Net.Sockets;
using Hearth.Shim.Pods;
using Hearth.Ttrpc;

namespace Hearth.Shim.Service;

/// <summary>A pod's shim: its services on two listening sockets, until it is told to end. Thread: any.</summary>
public sealed class ShimServer : IAsyncDisposable
{
    private static readonly TimeSpan s_unused = TimeSpan.FromMinutes(2);

    private readonly Pod _pod;
    private readonly Socket _tasks;
    private readonly Socket _streams;
    private readonly TaskCompletionSource _end = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _stopping = new();
    private int _connections;

    /// <param name="options">What it knows.</param>
    /// <param name="tasks">Listens; owned.</param>
    /// <param name="streams">Listens; owned.</param>
    public ShimServer(PodOptions options, Socket tasks, Socket streams)
    {
        _pod = new Pod(options);
        _tasks = tasks;
        _streams = streams;
    }

    /// <summary>Serves until a manager asks for the end, or <see cref="Stop"/>, or nobody has ever used it.</summary>
    public async Task RunAsync()
    {
        var server = new TtrpcServer([.. TaskService.Create(new TaskService(_pod, Stop)), SandboxService.Create(new SandboxService(_pod, Stop)), PodService.Create(new PodService(_pod))]) { MaxCalls = 16 << 10 };
        var streams = new StreamServer(_pod);
        _ = AcceptAsync(_tasks, stream => server.ServeAsync(stream, _stopping.Token));
        _ = AcceptAsync(_streams, stream => streams.ServeAsync(stream, _stopping.Token));
        _ = WatchUseAsync();
        await _end.Task.ConfigureAwait(false);
        _tasks.Dispose();
        _streams.Dispose();
    }

    /// <summary>Makes <see cref="RunAsync"/> return, soon.</summary>
    public void Stop() => _end.TrySetResult();

    /// <summary>Ends the pod with everything in it.</summary>
    public async ValueTask DisposeAsync()
    {
        Stop();
        await _pod.DisposeAsync().ConfigureAwait(false);
        await _stopping.CancelAsync().ConfigureAwait(false);
        _tasks.Dispose();
        _streams.Dispose();
    }

    private async Task AcceptAsync(Socket listener, Func<NetworkStream, Task> serve)
    {
        try
        {
            while (true)
            {
                Socket connection = await listener.AcceptAsync(_stopping.Token).ConfigureAwait(false);
                _ = ServeAsync(connection, serve);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or SocketException)
        {
            if (!_end.Task.IsCompleted)
            {
                // Without its sockets it is of no use to anybody.
                _pod.Log.Error($"The shim can no longer accept connections: {e.Message}");
                Stop();
            }
        }
    }

    private async Task ServeAsync(Socket connection, Func<NetworkStream, Task> serve)
    {
        Interlocked.Increment(ref _connections);
        try
        {
            await serve(new NetworkStream(connection, ownsSocket: true)).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            _pod.Log.Error($"A connection ended with a failure of the shim's own: {e}");
        }
        finally
        {
            Interlocked.Decrement(ref _connections);
        }
    }

    // A manager that died between starting a shim and using it leaves one that nobody knows of.
    private async Task WatchUseAsync()
    {
        bool unused = false;
        while (!_end.Task.IsCompleted)
        {
            bool now = _pod.IsEmpty && Volatile.Read(ref _connections) == 0;
            if (unused && now)
            {
                _pod.Log.Info("The shim ends: it has no container, and nobody is connected.");
                Stop();
            }

            unused = now;
            await Task.WhenAny(_end.Task, Task.Delay(s_unused)).ConfigureAwait(false);
        }
    }
}
