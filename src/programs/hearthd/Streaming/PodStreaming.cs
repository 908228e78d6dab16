using Hearth.Runtime.Pods;

namespace Hearth.Programs.Daemon.Streaming;

/// <summary>Streaming's target: processes and ports of <see cref="PodRuntime"/>'s pods. Thread: any.</summary>
internal sealed class PodStreaming(PodRuntime runtime) : IStreamingTarget
{
    public async Task<int> ExecAsync(ExecStreaming request, CommandStreams streams, CancellationToken clientGone)
    {
        var options = new ExecOptions
        {
            Command = request.Command,
            Tty = request.Tty,
            Stdin = request.Stdin,
            Stdout = request.Stdout,
            Stderr = request.Stderr,
            Env = request.Environment,
            WorkingDir = request.WorkingDirectory,
            User = request.User,
        };
        await using IProcessSession session = await runtime.OpenExecAsync(request.ContainerId, options, clientGone).ConfigureAwait(false);
        return await CarryAsync(session, streams, clientGone).ConfigureAwait(false);
    }

    public async Task AttachAsync(AttachStreaming request, CommandStreams streams, CancellationToken clientGone)
    {
        var options = new AttachOptions { Stdin = request.Stdin, Stdout = request.Stdout, Stderr = request.Stderr };
        await using IProcessSession session = await runtime.OpenAttachAsync(request.ContainerId, options, clientGone).ConfigureAwait(false);
        if (streams.Stdout is WebSocketChannel joined)
        {
            // A second empty message: from now on nothing is missed, and who attached before the start may start.
            await joined.WriteAsync(ReadOnlyMemory<byte>.Empty, clientGone).ConfigureAwait(false);
        }

        await CarryAsync(session, streams, clientGone).ConfigureAwait(false);
    }

    public async Task<DuplexStream> ConnectAsync(string podSandboxId, int port, CancellationToken clientGone) =>
        new PortBytes(await runtime.OpenPortAsync(podSandboxId, (ushort)port, clientGone).ConfigureAwait(false));

    private static async Task<int> CarryAsync(IProcessSession session, CommandStreams streams, CancellationToken clientGone)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(clientGone);
        Task input = FeedAsync(streams.Stdin, session.Stdin, over.Token);
        Task sizes = ResizeAsync(session, streams, over.Token);
        try
        {
            await Task.WhenAll(CopyAsync(session.Stdout, streams.Stdout, clientGone), CopyAsync(session.Stderr, streams.Stderr, clientGone)).ConfigureAwait(false);
            return await session.WaitAsync(clientGone).ConfigureAwait(false);
        }
        finally
        {
            await over.CancelAsync().ConfigureAwait(false);
            await Task.WhenAll(input, sizes).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private static async Task CopyAsync(Stream? from, Stream? to, CancellationToken cancellation)
    {
        if (from is not null)
        {
            await from.CopyToAsync(to ?? Stream.Null, cancellation).ConfigureAwait(false);
        }
    }

    private static async Task FeedAsync(Stream? from, Stream? to, CancellationToken cancellation)
    {
        if (to is null)
        {
            return;
        }

        try
        {
            if (from is not null)
            {
                await from.CopyToAsync(to, cancellation).ConfigureAwait(false);
            }
        }
        catch (IOException)
        {
            // The process reads no more; its output goes on.
        }

        await to.DisposeAsync().ConfigureAwait(false);
    }

    private static async Task ResizeAsync(IProcessSession session, CommandStreams streams, CancellationToken cancellation)
    {
        await foreach (TerminalSize size in streams.Sizes.ReadAllAsync(cancellation).ConfigureAwait(false))
        {
            await session.ResizeAsync(size.Width, size.Height, cancellation).ConfigureAwait(false);
        }
    }

    /// <summary>A connection to a port, of which the sending half can be closed if it is a socket.</summary>
    private sealed class PortBytes(Stream stream) : DuplexStream
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => stream.ReadAsync(buffer, cancellationToken);

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => stream.WriteAsync(buffer, cancellationToken);

        public override ValueTask CompleteWritesAsync(CancellationToken cancellation = default)
        {
            try
            {
                (stream as System.Net.Sockets.NetworkStream)?.Socket.Shutdown(System.Net.Sockets.SocketShutdown.Send);
            }
            catch (System.Net.Sockets.SocketException)
            {
                // The pod's side is gone already.
            }

            return ValueTask.CompletedTask;
        }

        protected override void Dispose(bool disposing)
        {
            stream.Dispose();
            base.Dispose(disposing);
        }
    }
}
