using Hearth.Agent.Protocol;
using Hearth.Linux;

namespace Hearth.Programs.Agent.Stdio;

/// <summary>
/// A process's input on its way from a connection. The connection's end is the input's end. Runs on the loop, but for the
/// constructor, <see cref="End"/> and <see cref="Close"/>.
/// </summary>
internal sealed class InputStream : IStdioEndpoint
{
    private const int BufferSize = 16 << 10;

    private readonly EventLoop _loop;
    private readonly WatchedDescriptor _sink;
    private byte[]? _buffer;
    private int _start;
    private int _end;
    private bool _ending;
    private bool _closed;
    private WatchedDescriptor? _connection;

    /// <param name="loop">Where it runs.</param>
    /// <param name="sink">The writing end of a pipe or a terminal's master; owned.</param>
    public InputStream(EventLoop loop, FileDescriptor sink)
    {
        _loop = loop;
        Pipe.SetNonBlocking(sink);
        _sink = new WatchedDescriptor(loop, sink, _ => Continue());
    }

    public bool TryAttach(FileDescriptor connection)
    {
        if (_connection is not null || _closed)
        {
            return false;
        }

        StdioConnection.Answer(connection, StdioReply.Ok);
        _connection = new WatchedDescriptor(_loop, connection, _ => Continue());
        Continue();
        return true;
    }

    /// <summary>Ends the input after what has arrived.</summary>
    public void End() => _loop.Post(() =>
    {
        _ending = true;
        if (_connection is null)
        {
            CloseNow();
        }
        else
        {
            Continue();
        }
    });

    /// <summary>Stops, and drops what is left.</summary>
    public void Close() => _loop.Post(CloseNow);

    private void Continue()
    {
        while (_connection is not null)
        {
            if (_start < _end)
            {
                int sent = Pipe.Write(_sink.Descriptor, _buffer.AsSpan(_start, _end - _start));
                if (sent >= 0)
                {
                    _start += sent;
                    continue;
                }

                if (LinuxException.LastErrno is Errno.EAGAIN or Errno.EINTR)
                {
                    _connection.StopWaiting();
                    _sink.WaitFor(EpollEvents.Out);
                }
                else
                {
                    // Nobody reads any more.
                    CloseNow();
                }

                return;
            }

            _buffer ??= new byte[BufferSize];
            int count = Polling.Read(_connection.Descriptor, _buffer);
            if (count < 0 && LinuxException.LastErrno is Errno.EAGAIN or Errno.EINTR && !_ending)
            {
                _sink.StopWaiting();
                _connection.WaitFor(EpollEvents.In);
                return;
            }

            if (count <= 0)
            {
                CloseNow();
                return;
            }

            (_start, _end) = (0, count);
        }
    }

    private void CloseNow()
    {
        _closed = true;
        _buffer = null;
        _start = _end = 0;
        _connection?.Dispose();
        _connection = null;
        _sink.Dispose();
    }
}
