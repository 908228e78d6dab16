using Hearth.Linux;

namespace Hearth.Programs.Agent.Stdio;

/// <summary>An owned descriptor that is waited for now and then. Runs on the loop, but for the constructor.</summary>
internal sealed class WatchedDescriptor(EventLoop loop, FileDescriptor descriptor, Action<EpollEvents> ready) : IEventHandler, IDisposable
{
    private EventRegistration? _registration;
    private EpollEvents _events;

    public FileDescriptor Descriptor { get; } = descriptor;

    public void OnReady(EpollEvents events) => ready(events);

    public void WaitFor(EpollEvents events)
    {
        if (_registration is null)
        {
            _registration = loop.Add(Descriptor, events, this);
        }
        else if (_events != events)
        {
            loop.Modify(_registration.Value, events);
        }

        _events = events;
    }

    public void StopWaiting()
    {
        if (_registration is { } registration)
        {
            loop.Remove(registration);
            _registration = null;
        }
    }

    public void Dispose()
    {
        StopWaiting();
        Descriptor.Dispose();
    }
}
