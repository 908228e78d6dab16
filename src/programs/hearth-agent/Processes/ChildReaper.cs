using Hearth.Linux;

namespace Hearth.Programs.Agent.Processes;

/// <summary>
/// Waits for every child of the agent, also for the orphans that a first process inherits. Thread: its own; starting a child
/// on any.
/// </summary>
internal sealed class ChildReaper
{
    // Guards _children, and keeps a child from being reaped before it is entered there.
    private readonly Lock _lock = new();
    private readonly Dictionary<int, Child> _children = [];
    private readonly AutoResetEvent _started = new(initialState: false);

    public void Start() => new Thread(Reap) { IsBackground = true, Name = "reaper" }.Start();

    /// <summary>Starts a child and enters it.</summary>
    /// <param name="spawn">Starts it; its process id.</param>
    public Child Add(Func<int> spawn)
    {
        Child child;
        lock (_lock)
        {
            int pid = spawn();
            child = new Child(pid, ChildProcess.OpenPidfd(pid));
            _children.Add(pid, child);
        }

        _started.Set();
        return child;
    }

    private void Reap()
    {
        while (true)
        {
            // The child stays a zombie, and its id its own, until it is off the list.
            int pid = ChildProcess.WaitAny();
            if (pid == ChildProcess.None)
            {
                // No children, so no descendants either: there is nothing to wait for until one is started.
                _started.WaitOne();
                continue;
            }

            Child? child;
            int status;
            lock (_lock)
            {
                status = ChildProcess.Reap(pid);
                _children.Remove(pid, out child);
            }

            child?.HasExited(status);
        }
    }
}

/// <summary>A process that the agent started. Thread: any.</summary>
internal sealed class Child(int pid, FileDescriptor pidfd)
{
    private readonly TaskCompletionSource<ChildExit> _exit = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public int Pid { get; } = pid;

    /// <summary>Stands for the process also when its id is used again. Never closed before the finalizer does it.</summary>
    public FileDescriptor Pidfd { get; } = pidfd;

    public Task<ChildExit> Exit => _exit.Task;

    public void HasExited(int status) => _exit.SetResult(new ChildExit(status, DateTimeOffset.UtcNow));
}

/// <summary>How a process ended: its exit code, or 128 and the number of a signal.</summary>
internal readonly record struct ChildExit(int Status, DateTimeOffset At);
