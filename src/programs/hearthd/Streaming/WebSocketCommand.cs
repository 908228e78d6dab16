using System.Net.WebSockets;
using System.Threading.Channels;

namespace Hearth.Programs.Daemon.Streaming;

/// <summary>Exec and attach over a WebSocket: a channel for each standard stream.</summary>
internal sealed class WebSocketCommand : ICommandConnection
{
    public const string V4 = "v4.channel.k8s.io";
    public const string V5 = "v5.channel.k8s.io";

    private const int Stdin = 0;
    private const int Stdout = 1;
    private const int Stderr = 2;
    private const int Error = 3;
    private const int Resize = 4;
    private const int Count = 5;

    private readonly WebSocketChannels _channels;
    private readonly Channel<TerminalSize> _sizes = TerminalSize.NewChannel();
    private readonly Task _running;
    private readonly Task _resizing;

    private WebSocketCommand(WebSocket socket, CommandRequest request, string protocol, CancellationToken cancellation)
    {
        _channels = new WebSocketChannels(socket, Count, closesChannels: protocol == V5);
        _channels[Stdout].Input.Discard();
        _channels[Stderr].Input.Discard();
        _channels[Error].Input.Discard();
        if (!request.Stdin)
        {
            _channels[Stdin].Input.Discard();
        }

        _running = _channels.RunAsync(cancellation);
        _resizing = TerminalSize.ReadAllAsync(_channels[Resize], _sizes.Writer, Closed);
        Streams = new CommandStreams(
            request.Stdin ? _channels[Stdin] : null,
            request.Stdout ? _channels[Stdout] : null,
            request.Stderr && !request.Tty ? _channels[Stderr] : null,
            _sizes.Reader);
    }

    public CommandStreams Streams { get; }

    public CancellationToken Closed => _channels.Closed;

    public static async Task<WebSocketCommand> OpenAsync(WebSocket socket, CommandRequest request, string protocol, CancellationToken cancellation)
    {
        var command = new WebSocketCommand(socket, request, protocol, cancellation);
        // An empty message says that the command is about to start; some clients wait for it.
        int first = request.Stdout ? Stdout : request.Stderr ? Stderr : Error;
        await command._channels.SendAsync((byte)first, ReadOnlyMemory<byte>.Empty, cancellation).ConfigureAwait(false);
        return command;
    }

    public async Task FinishAsync(byte[] status)
    {
        try
        {
            await _channels.SendAsync(Error, status, Closed).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // It is gone: there is nobody to tell.
        }

        await _channels.CloseAsync().ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        await _channels.DisposeAsync().ConfigureAwait(false);
        await _running.ConfigureAwait(false);
        await _resizing.ConfigureAwait(false);
    }
}
