using System.Net.WebSockets;
using Hearth.Programs.Hearth.Output;

namespace Hearth.Programs.Hearth.Streaming;

/// <summary>What goes to and comes from a streamed command.</summary>
internal sealed record CommandStreams
{
    public Stream? Input { get; init; }

    public required Stream Output { get; init; }

    public required Stream Errors { get; init; }

    /// <summary>Typing Ctrl-P Ctrl-Q leaves.</summary>
    public bool DetachKeys { get; init; }

    /// <summary>The terminal, whose size is told and kept told; null for none.</summary>
    public LocalTerminal? Terminal { get; init; }
}

/// <summary>How a client's part ended.</summary>
internal enum CommandEnd
{
    /// <summary>The command has ended, or the container that was attached to.</summary>
    Ended,

    /// <summary>The person left.</summary>
    Detached,

    /// <summary>The connection broke.</summary>
    Lost,
}

/// <summary>
/// The client of exec and attach: a WebSocket whose messages begin with their channel's number. Source: Kubernetes' remotecommand
/// (v4.channel.k8s.io, v5.channel.k8s.io; v5 can end an input).
/// </summary>
internal sealed class RemoteCommand : IAsyncDisposable
{
    private const byte InputChannel = 0;
    private const byte OutputChannel = 1;
    private const byte ErrorsChannel = 2;
    private const byte ResultChannel = 3;
    private const byte SizeChannel = 4;
    private const byte CloseChannel = 255;
    private const string V5 = "v5.channel.k8s.io";
    private const string V4 = "v4.channel.k8s.io";
    private const int BlockBytes = 32 * 1024;

    private readonly ClientWebSocket _socket;
    // Guards sending: input and sizes come from two threads, and a WebSocket sends one message at a time.
    private readonly SemaphoreSlim _sending = new(1);
    private readonly MemoryStream _result = new();
    private readonly TaskCompletionSource _joined = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _emptyMessages;

    private RemoteCommand(ClientWebSocket socket) => _socket = socket;

    /// <summary>While <see cref="RunAsync"/> runs: completes when nothing is missed any more of what a container says that was attached to.</summary>
    public Task Joined => _joined.Task;

    /// <param name="url">As CRI gave it.</param>
    /// <param name="cancellation">Ends the attempt.</param>
    /// <exception cref="CommandLineException">It cannot be opened.</exception>
    public static async Task<RemoteCommand> OpenAsync(string url, CancellationToken cancellation) =>
        new(await StreamSocket.OpenAsync(url, [V5, V4], cancellation));

    /// <summary>Carries the streams until the command ends, or the person leaves.</summary>
    /// <returns>How, and what the server said of it; no word for an attached container.</returns>
    public async Task<(CommandEnd End, CommandResult? Result)> RunAsync(CommandStreams streams, CancellationToken cancellation)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var detached = new TaskCompletionSource();
        using IDisposable? sizes = streams.Terminal?.OnSize(size => _ = TrySendAsync(SizeChannel, size.ToJson(), over.Token));
        Task input = streams.Input is null ? Task.CompletedTask : SendInputAsync(streams, detached, over.Token);
        Task<bool> output = ReceiveAsync(streams, over.Token);
        await Task.WhenAny(output, detached.Task);
        bool left = detached.Task.IsCompleted && !output.IsCompleted;
        try
        {
            bool orderly = !left && await output;
            await over.CancelAsync();
            return left ? (CommandEnd.Detached, null) : (orderly ? CommandEnd.Ended : CommandEnd.Lost, _result.Length > 0 ? CommandResult.Parse(_result.ToArray()) : null);
        }
        finally
        {
            await over.CancelAsync();
            // A read of a terminal cannot be cancelled, so nobody waits for it.
            _ = input.ContinueWith(static task => task.Exception, TaskScheduler.Default);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StreamSocket.CloseAsync(_socket);
        _socket.Dispose();
    }

    private async Task SendInputAsync(CommandStreams streams, TaskCompletionSource detached, CancellationToken cancellation)
    {
        var block = new byte[BlockBytes];
        var keys = new DetachKeys();
        var passed = new List<byte>();
        while (true)
        {
            int read = await streams.Input!.ReadAsync(block, cancellation);
            if (read == 0)
            {
                // v4 has no word for it: the command's input then ends with the connection.
                if (_socket.SubProtocol == V5)
                {
                    await TrySendAsync(CloseChannel, new[] { InputChannel }, cancellation);
                }

                return;
            }

            ReadOnlyMemory<byte> data = block.AsMemory(0, read);
            bool leave = false;
            if (streams.DetachKeys)
            {
                passed.Clear();
                leave = keys.Pass(data.Span, passed);
                data = passed.ToArray();
            }

            if (data.Length > 0 && !await TrySendAsync(InputChannel, data, cancellation))
            {
                return;
            }

            if (leave)
            {
                detached.TrySetResult();
                return;
            }
        }
    }

    private async Task<bool> TrySendAsync(byte channel, ReadOnlyMemory<byte> data, CancellationToken cancellation)
    {
        try
        {
            await _sending.WaitAsync(cancellation);
            try
            {
                byte[] message = [channel, .. data.Span];
                await _socket.SendAsync(message, WebSocketMessageType.Binary, endOfMessage: true, cancellation);
                return true;
            }
            finally
            {
                _sending.Release();
            }
        }
        catch (Exception e) when (e is WebSocketException or OperationCanceledException or ObjectDisposedException or InvalidOperationException)
        {
            // It has ended; the receiver sees how.
            return false;
        }
    }

    // True if the server closed it in order.
    private async Task<bool> ReceiveAsync(CommandStreams streams, CancellationToken cancellation)
    {
        var block = new byte[BlockBytes];
        byte? channel = null;
        while (true)
        {
            ValueWebSocketReceiveResult received;
            try
            {
                received = await _socket.ReceiveAsync(block.AsMemory(), cancellation);
            }
            catch (WebSocketException)
            {
                return _result.Length > 0;
            }

            if (received.MessageType == WebSocketMessageType.Close)
            {
                return true;
            }

            ReadOnlyMemory<byte> data = block.AsMemory(0, received.Count);
            if (channel is null && data.Length > 0)
            {
                channel = data.Span[0];
                data = data[1..];
            }

            if (data.Length > 0)
            {
                Stream? target = channel switch
                {
                    OutputChannel => streams.Output,
                    ErrorsChannel => streams.Errors,
                    ResultChannel => _result,
                    _ => null,
                };
                if (target is not null)
                {
                    target.Write(data.Span);
                    target.Flush();
                }
            }

            // hearthd says by a first empty message that it is there, by a second that it has joined.
            if (channel == OutputChannel && (data.Length > 0 || (received is { EndOfMessage: true, Count: 1 } && ++_emptyMessages == 2)))
            {
                _joined.TrySetResult();
            }

            channel = received.EndOfMessage ? null : channel;
        }
    }

    /// <summary>What to say of an end that is no exit status.</summary>
    public static CommandLineException Failure(CommandEnd end, CommandResult? result) => new(
        result?.Failure is { } failure ? Humane.Printable(failure) : end == CommandEnd.Lost ? "The connection to hearthd broke; the command may still run. hearth ps shows the container." : "hearthd closed the stream without saying how the command ended.",
        CommandLineException.RuntimeFailed);
}
