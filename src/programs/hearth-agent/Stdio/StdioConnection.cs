using Hearth.Agent.Protocol;
using Hearth.Linux;

namespace Hearth.Programs.Agent.Stdio;

/// <summary>Where a connection for a standard stream is taken: what it answers, and true if it has the connection now.</summary>
internal interface IStdioEndpoint
{
    /// <summary>Takes a connection over, unless another is there. Runs on the loop.</summary>
    bool TryAttach(FileDescriptor connection);
}

/// <summary>A connection on the port for standard streams until its header is whole. Runs on the loop.</summary>
internal sealed class StdioConnection : IEventHandler
{
    private readonly EventLoop _loop;
    private readonly FileDescriptor _connection;
    private readonly Func<StdioHandshake, IStdioEndpoint?> _find;
    private readonly byte[] _header = new byte[StdioHandshake.MaxLength];
    private readonly EventRegistration _registration;
    private int _length;

    private StdioConnection(EventLoop loop, FileDescriptor connection, Func<StdioHandshake, IStdioEndpoint?> find)
    {
        _loop = loop;
        _connection = connection;
        _find = find;
        _registration = loop.Add(connection, EpollEvents.In, this);
    }

    public static void Begin(EventLoop loop, FileDescriptor connection, Func<StdioHandshake, IStdioEndpoint?> find) => _ = new StdioConnection(loop, connection, find);

    public void OnReady(EpollEvents events)
    {
        int count = Polling.Read(_connection, _header.AsSpan(_length));
        if (count < 0 && LinuxException.LastErrno is Errno.EAGAIN or Errno.EINTR)
        {
            return;
        }

        if (count <= 0)
        {
            Close(null);
            return;
        }

        _length += count;
        int header = StdioHandshake.TryParse(_header.AsSpan(0, _length), out StdioHandshake? handshake);
        if (header == 0)
        {
            return;
        }

        // Who sends before it is answered has not understood the protocol.
        if (header < 0 || header != _length)
        {
            Close(StdioReply.Malformed);
            return;
        }

        IStdioEndpoint? endpoint = _find(handshake!);
        if (endpoint is null)
        {
            Close(StdioReply.NotFound);
            return;
        }

        _loop.Remove(_registration);
        // Answered before it is attached: the stream's first bytes come after the answer.
        if (!endpoint.TryAttach(_connection))
        {
            Answer(StdioReply.Busy);
            _connection.Dispose();
        }
    }

    /// <summary>Sends the one byte. A connection that cannot take it is broken, which shows by itself.</summary>
    public static void Answer(FileDescriptor connection, StdioReply reply) => _ = Pipe.Write(connection, [(byte)reply]);

    private void Answer(StdioReply reply) => Answer(_connection, reply);

    private void Close(StdioReply? reply)
    {
        _loop.Remove(_registration);
        if (reply is { } answer)
        {
            Answer(answer);
        }

        _connection.Dispose();
    }
}
