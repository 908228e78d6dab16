using Hearth.Linux;

namespace Hearth.Runtime.OciPods;

/// <summary>Tells when processes end that are nobody's children here. One thread for all of them, from the first on.</summary>
internal sealed class ProcessWatch
{
    private readonly EventLoop _loop = new();
    private readonly Lazy<Thread> _thread;

    public ProcessWatch()
    {
        _thread = new Lazy<Thread>(() =>
        {
            var thread = new Thread(_loop.Run) { IsBackground = true, Name = "oci pods" };
            thread.Start();
            return thread;
        });
    }

    /// <summary>Calls back once, on a thread of the pool, when the process has ended. Disposing the watch keeps it from that.</summary>
    /// <param name="process">A pidfd, which is taken over.</param>
    /// <param name="ended">What to do.</param>
    public IDisposable Add(FileDescriptor process, Action ended)
    {
        _ = _thread.Value;
        var watch = new Watch(_loop, process, ended);
        watch.Begin();
        return watch;
    }

    private sealed class Watch(EventLoop loop, FileDescriptor process, Action ended) : IEventHandler, IDisposable
    {
        // Guards what follows.
        private readonly Lock _lock = new();
        private EventRegistration _registration;
        private bool _done;

        public void Begin()
        {
            lock (_lock)
            {
                _registration = loop.Add(process, EpollEvents.In, this);
            }
        }

        public void OnReady(EpollEvents events)
        {
            if (End())
            {
                Task.Run(ended);
            }
        }

        public void Dispose() => End();

        private bool End()
        {
            lock (_lock)
            {
                if (_done)
                {
                    return false;
                }

                _done = true;
                loop.Remove(_registration);
                process.Dispose();
                return true;
            }
        }
    }
}
