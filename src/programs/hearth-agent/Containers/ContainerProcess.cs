using Google.Protobuf;
using Hearth.Agent.Protocol;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Programs.Agent.Processes;

namespace Hearth.Programs.Agent.Containers;

/// <summary>A process of a container that the host knows by name. Thread: any.</summary>
/// <param name="ExecId">Its name; empty for the container's first.</param>
/// <param name="Prepared">The process.</param>
/// <param name="Streams">Its standard streams.</param>
internal sealed record ContainerProcess(string ExecId, PreparedProcess Prepared, ProcessStreams Streams)
{
    private static readonly TimeSpan s_graceForStreams = TimeSpan.FromSeconds(5);

    public Child Child => Prepared.Child;

    public bool HasExited => Child.Exit.IsCompleted;

    /// <summary>
    /// Hands on everything that it writes until it has ended, and then its streams, unless a child of its own holds them open.
    /// </summary>
    /// <returns>How it ended.</returns>
    public async Task<RunProcessExit> ForwardAsync(EventLoop loop, Func<RunProcessEvent, ValueTask> send, TimeSpan? timeout, CancellationToken cancellation)
    {
        Task forwarding = Task.WhenAll(
            ForwardAsync(loop, Streams.Output!, bytes => send(new RunProcessEvent { Stdout = bytes }), cancellation),
            ForwardAsync(loop, Streams.Errors!, bytes => send(new RunProcessEvent { Stderr = bytes }), cancellation));
        bool timedOut = false;
        try
        {
            await Child.Exit.WaitAsync(timeout ?? Timeout.InfiniteTimeSpan, cancellation).ConfigureAwait(false);
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException)
        {
            timedOut = e is TimeoutException;
            ChildProcess.Signal(Child.Pidfd, Signals.SIGKILL);
            cancellation.ThrowIfCancellationRequested();
        }

        ChildExit exit = await Child.Exit.ConfigureAwait(false);
        try
        {
            await forwarding.WaitAsync(s_graceForStreams, cancellation).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // Closing the streams, which comes next, ends it.
        }

        return new RunProcessExit { ExitStatus = (uint)exit.Status, TimedOut = timedOut };
    }

    private static async Task ForwardAsync(EventLoop loop, Stdio.OutputStream output, Func<ByteString, ValueTask> send, CancellationToken cancellation)
    {
        (FileDescriptor near, FileDescriptor far) = Pipe.CreateSockets();
        Pipe.SetNonBlocking(far);
        await using var stream = new Stdio.SocketStream(near);
        loop.Post(() => output.Attach(far));
        byte[] buffer = new byte[32 << 10];
        int count;
        while ((count = await stream.ReadAsync(buffer, cancellation).ConfigureAwait(false)) > 0)
        {
            await send(ByteString.CopyFrom(buffer, 0, count)).ConfigureAwait(false);
        }
    }
}
