using System.Buffers;
using System.Net.WebSockets;

namespace Hearth.Programs.Daemon.Streaming;

/// <summary>
/// Several streams in one WebSocket: the first byte of each message is the channel it is for. Since v5 a message on channel 255
/// names a channel whose input ends. Source: Kubernetes' channel.k8s.io subprotocols.
/// <para>Thread: <see cref="RunAsync"/> reads; writes come from any.</para>
/// </summary>
internal sealed class WebSocketChannels : IAsyncDisposable
{
    private const byte CloseChannel = 255;
    private const int BufferBytes = 16 * 1024;

    private static readonly TimeSpan s_farewell = TimeSpan.FromSeconds(10);

    private readonly WebSocket _socket;
    private readonly WebSocketChannel[] _channels;
    private readonly bool _closesChannels;

    // Guards sending.
    private readonly SemaphoreSlim _writing = new(1, 1);
    private readonly CancellationTokenSource _closed = new();
    private readonly CancellationTokenSource _aborted = new();
    private readonly TaskCompletionSource _readingEnded = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <param name="socket">Open; stays the caller's.</param>
    /// <param name="count">Channels, from 0.</param>
    /// <param name="closesChannels">v5: channel 255 ends the input of others.</param>
    public WebSocketChannels(WebSocket socket, int count, bool closesChannels)
    {
        _socket = socket;
        _closesChannels = closesChannels;
        _channels = [.. Enumerable.Range(0, count).Select(number => new WebSocketChannel(this, (byte)number))];
    }

    /// <summary>Cancelled when the client is gone.</summary>
    public CancellationToken Closed => _closed.Token;

    public WebSocketChannel this[int number] => _channels[number];

    /// <summary>Reads messages until the client closes, or is gone.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        using CancellationTokenRegistration end = cancellation.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), _aborted);
        byte[] buffer = new byte[BufferBytes];
        try
        {
            while (await ReadMessageAsync(buffer, _aborted.Token).ConfigureAwait(false))
            {
            }
        }
        catch (Exception e) when (e is WebSocketException or IOException or OperationCanceledException or ObjectDisposedException)
        {
            // The client went away without a word.
        }
        finally
        {
            foreach (WebSocketChannel channel in _channels)
            {
                channel.Input.End();
            }

            await _closed.CancelAsync().ConfigureAwait(false);
            _readingEnded.SetResult();
        }
    }

    /// <summary>Says that this was all, and waits for the client to close too; gives up on one that does not.</summary>
    public async Task CloseAsync()
    {
        foreach (WebSocketChannel channel in _channels)
        {
            channel.Input.Discard();
        }

        using var time = new CancellationTokenSource(s_farewell);
        try
        {
            await _writing.WaitAsync(time.Token).ConfigureAwait(false);
            try
            {
                await _socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, time.Token).ConfigureAwait(false);
            }
            finally
            {
                _writing.Release();
            }

            await _readingEnded.Task.WaitAsync(time.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is WebSocketException or IOException or OperationCanceledException or ObjectDisposedException or InvalidOperationException)
        {
            // It had its time, or is gone.
        }
    }

    /// <summary>Ends <see cref="RunAsync"/>, which must have been called, and waits for its end.</summary>
    public async ValueTask DisposeAsync()
    {
        await _aborted.CancelAsync().ConfigureAwait(false);
        await _readingEnded.Task.ConfigureAwait(false);
        _closed.Dispose();
        _aborted.Dispose();
        _writing.Dispose();
    }

    /// <summary>Sends one message; to a client that is gone, nothing.</summary>
    internal async ValueTask SendAsync(byte channel, ReadOnlyMemory<byte> data, CancellationToken cancellation)
    {
        byte[] message = ArrayPool<byte>.Shared.Rent(1 + data.Length);
        try
        {
            message[0] = channel;
            data.CopyTo(message.AsMemory(1));
            await _writing.WaitAsync(cancellation).ConfigureAwait(false);
            try
            {
                if (_socket.State is WebSocketState.Open)
                {
                    await _socket.SendAsync(message.AsMemory(0, 1 + data.Length), WebSocketMessageType.Binary, endOfMessage: true, cancellation).ConfigureAwait(false);
                }
            }
            finally
            {
                _writing.Release();
            }
        }
        catch (Exception e) when (e is WebSocketException or IOException or ObjectDisposedException)
        {
            // RunAsync sees the end, and says it.
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(message);
        }
    }

    /// <returns>False if the client closed.</returns>
    private async ValueTask<bool> ReadMessageAsync(byte[] buffer, CancellationToken cancellation)
    {
        ValueWebSocketReceiveResult received = await _socket.ReceiveAsync(buffer.AsMemory(), cancellation).ConfigureAwait(false);
        int start = 1;
        byte channel = received.Count > 0 ? buffer[0] : CloseChannel;
        while (received.MessageType != WebSocketMessageType.Close)
        {
            // What is for no channel is dropped.
            if (channel < _channels.Length && received.Count > start)
            {
                await _channels[channel].Input.BringAsync(buffer.AsMemory(start, received.Count - start), cancellation).ConfigureAwait(false);
            }
            else if (channel == CloseChannel && _closesChannels && received.Count > start && buffer[start] < _channels.Length)
            {
                _channels[buffer[start]].Input.End();
            }

            if (received.EndOfMessage)
            {
                return true;
            }

            // A first fragment without a byte leaves the channel unknown: the message is dropped.
            start = 0;
            received = await _socket.ReceiveAsync(buffer.AsMemory(), cancellation).ConfigureAwait(false);
        }

        return false;
    }
}

/// <summary>One of them.</summary>
internal sealed class WebSocketChannel : DuplexStream
{
    // Messages of this size at most, so that channels take turns.
    private const int MaxMessage = 32 * 1024;

    private readonly WebSocketChannels _channels;
    private readonly byte _number;

    internal WebSocketChannel(WebSocketChannels channels, byte number)
    {
        _channels = channels;
        _number = number;
    }

    internal InputPipe Input { get; } = new();

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        Input.ReadAsync(buffer, cancellationToken);

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        for (; buffer.Length > MaxMessage; buffer = buffer[MaxMessage..])
        {
            await _channels.SendAsync(_number, buffer[..MaxMessage], cancellationToken).ConfigureAwait(false);
        }

        await _channels.SendAsync(_number, buffer, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The protocol has no word for it: the client learns it from the end of the connection.</summary>
    public override ValueTask CompleteWritesAsync(CancellationToken cancellation = default) => ValueTask.CompletedTask;
}
