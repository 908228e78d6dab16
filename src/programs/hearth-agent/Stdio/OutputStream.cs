using Hearth.Agent.Protocol;
using Hearth.Linux;

namespace Hearth.Programs.Agent.Stdio;

/// <summary>
/// A process's output on its way to a connection. Without one nothing is read, so that the process waits rather than loses
/// anything; a connection that breaks leaves what it did not take to the next. Runs on the loop, but for the constructor,
/// <see cref="Finished"/> and <see cref="Close"/>.
/// </summary>
internal sealed class OutputStream : IStdioEndpoint
{
    private const int BufferSize = 64 << 10;

    private readonly EventLoop _loop;
    private readonly WatchedDescriptor _source;
    private readonly TaskCompletionSource _finished = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private byte[]? _buffer;
    private int _start;
    private int _end;
    private bool _ended;
    private WatchedDescriptor? _connection;

    /// <param name="loop">Where it runs.</param>
    /// <param name="source">The reading end of a pipe or a terminal's master; owned.</param>
    public OutputStream(EventLoop loop, FileDescriptor source)
    {
        _loop = loop;
        Pipe.SetNonBlocking(source);
        _source = new WatchedDescriptor(loop, source, _ => Continue());
    }

    /// <summary>Completes when all output has been handed on, or <see cref="Close"/> was called.</summary>
    public Task Finished => _finished.Task;

    public bool TryAttach(FileDescriptor connection)
    {
        if (_connection is not null)
        {
            return false;
        }

        StdioConnection.Answer(connection, StdioReply.Ok);
        Attach(connection);
        return true;
    }

    /// <summary>Hands output to a connection, which is owned from here on and does not block.</summary>
    public void Attach(FileDescriptor connection)
    {
        _connection = new WatchedDescriptor(_loop, connection, OnConnection);
        Continue();
    }

    /// <summary>Stops, and drops what is left.</summary>
    public void Close() => _loop.Post(() =>
    {
        Detach();
        _ended = true;
        _start = _end = 0;
        _source.Dispose();
        _finished.TrySetResult();
    });

    private void OnConnection(EpollEvents events)
    {
        if ((events & (EpollEvents.HangUp | EpollEvents.Error)) != 0)
        {
            Detach();
            return;
        }

        Continue();
    }

    // Moves what can be moved, then waits for the side that holds it up.
    private void Continue()
    {
        while (_connection is not null)
        {
            if (_start < _end)
            {
                int sent = Pipe.Write(_connection.Descriptor, _buffer.AsSpan(_start, _end - _start));
                if (sent >= 0)
                {
                    _start += sent;
                    continue;
                }

                if (LinuxException.LastErrno is Errno.EAGAIN or Errno.EINTR)
                {
                    _source.StopWaiting();
                    _connection.WaitFor(EpollEvents.Out);
                }
                else
                {
                    Detach();
                }

                return;
            }

            if (_ended)
            {
                Detach();
                _source.Dispose();
                _buffer = null;
                _finished.TrySetResult();
                return;
            }

            _buffer ??= new byte[BufferSize];
            int count = Polling.Read(_source.Descriptor, _buffer);
            if (count < 0 && LinuxException.LastErrno is Errno.EAGAIN or Errno.EINTR)
            {
                // Its hang-up is told without being asked for.
                _connection.WaitFor(EpollEvents.None);
                _source.WaitFor(EpollEvents.In);
                return;
            }

            // A terminal whose far side is closed says EIO.
            _ended = count <= 0;
            (_start, _end) = (0, Math.Max(count, 0));
        }
    }

    private void Detach()
    {
        // Not muted but off the loop: the end of a pipe is told without being asked for, again and again.
        _source.StopWaiting();
        _connection?.Dispose();
        _connection = null;
    }
}
