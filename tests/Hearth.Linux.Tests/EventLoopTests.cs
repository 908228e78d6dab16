namespace Hearth.Linux.Tests;

public class EventLoopTests
{
    [Fact]
    public void A_signalled_eventfd_calls_its_handler_on_the_loop()
    {
        using var running = new RunningLoop();
        using var bell = new EventFd();
        var handler = new Counter(bell, running.Loop);
        EventRegistration registration = running.Loop.Add(bell, EpollEvents.In, handler);
        bell.Signal();
        Assert.True(handler.Rang.Wait(TimeSpan.FromSeconds(30)));
        Assert.True(handler.WasOnLoop);
        running.Loop.Remove(registration);
    }

    [Fact]
    public void More_registrations_than_the_first_table_holds_all_work()
    {
        using var running = new RunningLoop();
        var bells = Enumerable.Range(0, 100).Select(_ => new EventFd()).ToList();
        var handlers = bells.ConvertAll(b => new Counter(b, running.Loop));
        for (int i = 0; i < bells.Count; i++)
        {
            running.Loop.Add(bells[i], EpollEvents.In, handlers[i]);
        }

        bells.ForEach(b => b.Signal());
        Assert.All(handlers, h => Assert.True(h.Rang.Wait(TimeSpan.FromSeconds(30))));
        bells.ForEach(b => b.Dispose());
    }

    [Fact]
    public void A_removed_handler_is_not_called_and_its_slot_serves_another()
    {
        using var running = new RunningLoop();
        using var first = new EventFd();
        using var second = new EventFd();
        var stale = new Counter(first, running.Loop);
        running.Loop.Remove(running.Loop.Add(first, EpollEvents.In, stale));
        var fresh = new Counter(second, running.Loop);
        running.Loop.Add(second, EpollEvents.In, fresh);
        first.Signal();
        second.Signal();
        Assert.True(fresh.Rang.Wait(TimeSpan.FromSeconds(30)));
        Assert.False(stale.Rang.IsSet);
    }

    [Fact]
    public void A_posted_action_runs_and_a_timer_fires()
    {
        using var running = new RunningLoop();
        using var timer = new TimerFd();
        using var posted = new ManualResetEventSlim();
        var handler = new TimerHandler(timer);
        running.Loop.Post(() =>
        {
            running.Loop.Add(timer, EpollEvents.In, handler);
            timer.Arm(TimeSpan.FromMilliseconds(1));
            posted.Set();
        });
        Assert.True(posted.Wait(TimeSpan.FromSeconds(30)));
        Assert.True(handler.Fired.Wait(TimeSpan.FromSeconds(30)));
    }

    [Fact]
    public void A_kick_interrupts_a_blocked_system_call()
    {
        ThreadKick.Install();
        int threadId = 0;
        using var started = new ManualResetEventSlim();
        Errno seen = Errno.None;
        using var bell = new EventFd();
        var thread = new Thread(() =>
        {
            threadId = ThreadKick.CurrentThreadId;
            started.Set();
            seen = BlockingPoll();
        });
        thread.Start();
        Assert.True(started.Wait(TimeSpan.FromSeconds(30)));
        // The thread may not be in the call yet: kick until it ends.
        var deadline = TimeSpan.FromSeconds(30);
        var clock = System.Diagnostics.Stopwatch.StartNew();
        while (!thread.Join(1) && clock.Elapsed < deadline)
        {
            ThreadKick.Send(threadId);
        }

        Assert.Equal(Errno.EINTR, seen);
    }

    private static unsafe Errno BlockingPoll()
    {
        using var epoll = new FileDescriptor(Native.SysEpoll.epoll_create1(Native.SysEpoll.EPOLL_CLOEXEC));
        Native.epoll_event ev;
        return Native.SysEpoll.epoll_wait(epoll.Number, &ev, 1, -1) < 0 ? LinuxException.LastErrno : Errno.None;
    }

    private sealed class RunningLoop : IDisposable
    {
        private readonly Thread _thread;

        public RunningLoop()
        {
            _thread = new Thread(Loop.Run);
            _thread.Start();
        }

        public EventLoop Loop { get; } = new();

        public void Dispose()
        {
            Loop.Stop();
            _thread.Join();
            Loop.Dispose();
        }
    }

    private sealed class Counter(EventFd bell, EventLoop loop) : IEventHandler
    {
        public ManualResetEventSlim Rang { get; } = new();

        public bool WasOnLoop { get; private set; }

        public void OnReady(EpollEvents events)
        {
            bell.Drain();
            WasOnLoop = loop.IsCurrent;
            Rang.Set();
        }
    }

    private sealed class TimerHandler(TimerFd timer) : IEventHandler
    {
        public ManualResetEventSlim Fired { get; } = new();

        public void OnReady(EpollEvents events)
        {
            Assert.Equal(1UL, timer.Drain());
            Fired.Set();
        }
    }
}
