using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>What a descriptor is ready for. Source: epoll_ctl(2).</summary>
[Flags]
public enum EpollEvents : uint
{
    None = 0,
    In = 0x1,
    Priority = 0x2,
    Out = 0x4,
    Error = 0x8,
    HangUp = 0x10,
    ReadHangUp = 0x2000,
    EdgeTriggered = 1u << 31,
}

/// <summary>Something that waits for a descriptor. Runs on the loop it was added to.</summary>
public interface IEventHandler
{
    /// <summary>Called once per wake-up while the descriptor is ready. Must not block.</summary>
    void OnReady(EpollEvents events);
}

/// <summary>
/// One thread that waits on many descriptors (epoll) and calls their handlers; no allocation per event.
/// <para>Thread: <see cref="Run"/> on one thread; every other member on any.</para>
/// <para>A handler removed by another thread is never called again once <see cref="Remove"/> has returned, except
/// where it is being called at that moment; devices guard that with their own lock.</para>
/// </summary>
public sealed unsafe class EventLoop : IDisposable
{
    private const int MaxEventsPerWait = 32;

    // Guards _slots, _free and _actions.
    private readonly Lock _lock = new();
    private readonly Stack<int> _free = new();
    private readonly Queue<Action> _actions = new();
    private readonly FileDescriptor _epoll;
    private readonly EventFd _wake = new();
    private Slot[] _slots = new Slot[16];
    private volatile bool _stopping;
    private int _threadId;

    public EventLoop()
    {
        _epoll = new FileDescriptor(FileDescriptor.Check(SysEpoll.epoll_create1(SysEpoll.EPOLL_CLOEXEC), "epoll_create1()"));
        for (int i = _slots.Length - 1; i >= 0; i--)
        {
            _free.Push(i);
        }

        Control(SysEpoll.EPOLL_CTL_ADD, _wake.Number, EpollEvents.In, ulong.MaxValue);
    }

    /// <summary>True on the thread that is inside <see cref="Run"/>.</summary>
    public bool IsCurrent => Volatile.Read(ref _threadId) == Environment.CurrentManagedThreadId;

    /// <summary>Waits for <paramref name="events"/> on <paramref name="fd"/>, which must outlive its registration.</summary>
    /// <returns>A token for <see cref="Modify"/> and <see cref="Remove"/>.</returns>
    public EventRegistration Add(FileDescriptor fd, EpollEvents events, IEventHandler handler)
    {
        lock (_lock)
        {
            if (_free.Count == 0)
            {
                int old = _slots.Length;
                var grown = new Slot[old * 2];
                _slots.CopyTo(grown, 0);
                for (int i = grown.Length - 1; i >= old; i--)
                {
                    _free.Push(i);
                }

                Volatile.Write(ref _slots, grown);
            }

            int index = _free.Pop();
            uint generation = unchecked(_slots[index].Generation + 1);
            _slots[index] = new Slot { Generation = generation, Handler = handler };
            Control(SysEpoll.EPOLL_CTL_ADD, fd.Number, events, Pack(index, generation));
            return new EventRegistration(fd, index, generation);
        }
    }

    /// <summary>Changes what a registration waits for; <see cref="EpollEvents.None"/> mutes it.</summary>
    public void Modify(EventRegistration registration, EpollEvents events) =>
        Control(SysEpoll.EPOLL_CTL_MOD, registration.Fd.Number, events, Pack(registration.Index, registration.Generation));

    /// <summary>Stops waiting. Call before the descriptor is closed.</summary>
    public void Remove(EventRegistration registration)
    {
        lock (_lock)
        {
            if (_slots[registration.Index].Generation != registration.Generation || _slots[registration.Index].Handler is null)
            {
                return;
            }

            Control(SysEpoll.EPOLL_CTL_DEL, registration.Fd.Number, EpollEvents.None, 0);
            _slots[registration.Index].Handler = null;
            _free.Push(registration.Index);
        }
    }

    /// <summary>Runs <paramref name="action"/> on the loop, soon.</summary>
    public void Post(Action action)
    {
        lock (_lock)
        {
            _actions.Enqueue(action);
        }

        _wake.Signal();
    }

    /// <summary>Handles events until <see cref="Stop"/>.</summary>
    public void Run()
    {
        Volatile.Write(ref _threadId, Environment.CurrentManagedThreadId);
        while (!_stopping)
        {
            Wait(-1);
        }

        Volatile.Write(ref _threadId, 0);
    }

    /// <summary>
    /// Handles what is ready now, waiting up to <paramref name="timeoutMs"/> for the first of it; for a caller that
    /// turns the loop by hand instead of <see cref="Run"/>.
    /// </summary>
    /// <returns>Whether anything was ready.</returns>
    public bool RunOnce(int timeoutMs)
    {
        Volatile.Write(ref _threadId, Environment.CurrentManagedThreadId);
        bool any = Wait(timeoutMs);
        Volatile.Write(ref _threadId, 0);
        return any;
    }

    /// <summary>Makes <see cref="Run"/> return after the handlers of this wake-up.</summary>
    public void Stop()
    {
        _stopping = true;
        _wake.Signal();
    }

    public void Dispose()
    {
        _epoll.Dispose();
        _wake.Dispose();
    }

    private bool Wait(int timeoutMs)
    {
        epoll_event* ready = stackalloc epoll_event[MaxEventsPerWait];
        // SAFETY: the buffer lives on this stack and holds MaxEventsPerWait events.
        int count = SysEpoll.epoll_wait(_epoll.Number, ready, MaxEventsPerWait, timeoutMs);
        if (count < 0 && LinuxException.LastErrno != Errno.EINTR)
        {
            throw LinuxException.Last("epoll_wait()");
        }

        for (int i = 0; i < count; i++)
        {
            Dispatch(ready[i]);
        }

        return count > 0;
    }

    private void Dispatch(epoll_event ev)
    {
        if (ev.data == ulong.MaxValue)
        {
            _wake.Drain();
            RunActions();
            return;
        }

        int index = (int)(uint)ev.data;
        uint generation = (uint)(ev.data >> 32);
        // Racing with Remove: the slot is read once; a stale generation or a null handler is a late event.
        Slot slot;
        lock (_lock)
        {
            slot = _slots[index];
        }

        if (slot.Generation == generation)
        {
            slot.Handler?.OnReady((EpollEvents)ev.events);
        }
    }

    private void RunActions()
    {
        while (true)
        {
            Action? action;
            lock (_lock)
            {
                if (!_actions.TryDequeue(out action))
                {
                    return;
                }
            }

            action();
        }
    }

    private void Control(int operation, int fd, EpollEvents events, ulong data)
    {
        var ev = new epoll_event { events = (uint)events, data = data };
        // SAFETY: `ev` lives on this stack for the whole call.
        FileDescriptor.Check(SysEpoll.epoll_ctl(_epoll.Number, operation, fd, &ev), "epoll_ctl()");
    }

    private static ulong Pack(int index, uint generation) => ((ulong)generation << 32) | (uint)index;

    private struct Slot
    {
        public uint Generation;
        public IEventHandler? Handler;
    }
}

/// <summary>One descriptor's place in an <see cref="EventLoop"/>.</summary>
public readonly record struct EventRegistration(FileDescriptor Fd, int Index, uint Generation);
