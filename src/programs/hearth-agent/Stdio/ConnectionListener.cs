using Hearth.Linux;

namespace Hearth.Programs.Agent.Stdio;

/// <summary>Takes connections on the loop and hands them on. They are non-blocking, and the receiver's.</summary>
internal sealed class ConnectionListener : IEventHandler, IDisposable
{
    private readonly EventLoop _loop;
    private readonly FileDescriptor _listener;
    private readonly Action<FileDescriptor> _take;
    private readonly EventRegistration _registration;

    public ConnectionListener(EventLoop loop, FileDescriptor listener, Action<FileDescriptor> take)
    {
        _loop = loop;
        _listener = listener;
        _take = take;
        _registration = loop.Add(listener, EpollEvents.In, this);
    }

    public void OnReady(EpollEvents events)
    {
        while (VsockListener.TryAccept(_listener) is { } connection)
        {
            _take(connection);
        }
    }

    public void Dispose() => _loop.Remove(_registration);
}
