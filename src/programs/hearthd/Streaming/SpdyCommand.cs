using System.Threading.Channels;
using Hearth.Programs.Daemon.Spdy;

namespace Hearth.Programs.Daemon.Streaming;

/// <summary>Exec and attach over SPDY: the client opens a stream for each standard stream, named by a header.</summary>
internal sealed class SpdyCommand : ICommandConnection
{
    private const string StreamType = "streamtype";

    private readonly SpdyConnection _connection;
    private readonly Channel<TerminalSize> _sizes = TerminalSize.NewChannel();
    private readonly TaskCompletionSource _complete = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Filled on the connection's reading thread; read after _complete.
    private readonly Dictionary<string, SpdyStream?> _expected;
    private readonly Task _running;
    private Task _resizing = Task.CompletedTask;

    private SpdyCommand(Stream transport, CommandRequest request, CancellationToken cancellation)
    {
        _expected = new Dictionary<string, SpdyStream?> { ["error"] = null };
        Expect("stdin", request.Stdin);
        Expect("stdout", request.Stdout);
        Expect("stderr", request.Stderr && !request.Tty);
        Expect("resize", request.Tty);
        _connection = new SpdyConnection(transport, Accept);
        _running = _connection.RunAsync(cancellation);
    }

    public CommandStreams Streams { get; private set; } = null!;

    public CancellationToken Closed => _connection.Closed;

    /// <summary>Waits until the client has opened its streams.</summary>
    /// <returns>Null if it did not.</returns>
    public static async Task<SpdyCommand?> OpenAsync(Stream transport, CommandRequest request, TimeSpan timeout, CancellationToken cancellation)
    {
        var command = new SpdyCommand(transport, request, cancellation);
        try
        {
            await command._complete.Task.WaitAsync(timeout, command.Closed).ConfigureAwait(false);
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException)
        {
            await command._connection.CloseAsync().ConfigureAwait(false);
            await command.DisposeAsync().ConfigureAwait(false);
            return null;
        }

        Dictionary<string, SpdyStream?> streams = command._expected;
        if (streams.GetValueOrDefault("resize") is { } resize)
        {
            command._resizing = TerminalSize.ReadAllAsync(resize, command._sizes.Writer, command.Closed);
        }
        else
        {
            command._sizes.Writer.Complete();
        }

        streams["error"]!.Discard();
        streams.GetValueOrDefault("stdout")?.Discard();
        streams.GetValueOrDefault("stderr")?.Discard();
        command.Streams = new CommandStreams(
            streams.GetValueOrDefault("stdin"), streams.GetValueOrDefault("stdout"), streams.GetValueOrDefault("stderr"), command._sizes.Reader);
        return command;
    }

    public async Task FinishAsync(byte[] status)
    {
        SpdyStream error = _expected["error"]!;
        try
        {
            await error.WriteAsync(status, Closed).ConfigureAwait(false);
            foreach (SpdyStream? stream in _expected.Values)
            {
                await stream!.CompleteWritesAsync(Closed).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException)
        {
            // It is gone: there is nobody to tell.
        }

        await _connection.CloseAsync().ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        _sizes.Writer.TryComplete();
        await _connection.DisposeAsync().ConfigureAwait(false);
        try
        {
            await _running.ConfigureAwait(false);
        }
        catch (SpdyException)
        {
            // It was told.
        }

        await _resizing.ConfigureAwait(false);
    }

    private void Expect(string type, bool wanted)
    {
        if (wanted)
        {
            _expected.Add(type, null);
        }
    }

    private bool Accept(SpdyStream stream)
    {
        // A stream nobody asked for over CRI (stdin of an exec without one) is not to be had.
        if (!stream.Headers.TryGetValue(StreamType, out string? type) || !_expected.TryGetValue(type, out SpdyStream? known) || known is not null)
        {
            return false;
        }

        _expected[type] = stream;
        if (!_expected.ContainsValue(null))
        {
            _complete.TrySetResult();
        }

        return true;
    }
}
