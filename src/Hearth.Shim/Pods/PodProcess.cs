using Google.Protobuf.WellKnownTypes;
using Hearth.Oci.Runtime;
using Hearth.Shim.Protocol.Tasks;
using Hearth.Shim.Streams;

namespace Hearth.Shim.Pods;

/// <summary>Where a process is in its life.</summary>
internal enum ProcessPhase
{
    Created,
    Running,
    Stopped,
}

/// <summary>How a process ended.</summary>
/// <param name="Status">Its exit code, or 128 and the number of a signal.</param>
/// <param name="At">When.</param>
/// <param name="OutOfMemory">The kernel ended it for its container's memory limit.</param>
internal sealed record ProcessExit(uint Status, DateTimeOffset At, bool OutOfMemory = false)
{
    /// <summary>128 and SIGKILL: what is said of a process whose machine has gone.</summary>
    public const uint Killed = 137;

    public Timestamp AtTimestamp => Timestamp.FromDateTimeOffset(At);
}

/// <summary>A container's first process, or one that was added. Thread: any.</summary>
internal sealed class PodProcess
{
    private readonly TaskCompletionSource<ProcessExit> _exited = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _startTold = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Guards the changes of _phase.
    private readonly Lock _lock = new();
    private volatile ProcessPhase _phase = ProcessPhase.Created;

    public required string ContainerId { get; init; }

    /// <summary>Empty for the first.</summary>
    public required string ExecId { get; init; }

    public required StdioRequest Stdio { get; init; }

    /// <summary>Of an added process: what it is to run.</summary>
    public ProcessSpec? Spec { get; set; }

    /// <summary>Null in a sandbox, and of an added process until it is started.</summary>
    public ProcessStdio? Streams { get; set; }

    /// <summary>In the guest; 0 before it is there.</summary>
    public uint GuestPid { get; set; }

    /// <summary>What the manager was told as its process id, which is one of the host's.</summary>
    public uint HostPid { get; set; }

    public DateTimeOffset? StartedAt { get; private set; }

    public ProcessPhase Phase => _phase;

    /// <summary>Held while it is started, or removed. One at a time.</summary>
    public SemaphoreSlim Changing { get; } = new(1);

    /// <summary>How it ended; completes when it has, and what it wrote has been handed on.</summary>
    public Task<ProcessExit> Exited => _exited.Task;

    /// <summary>Completes when the manager has been told that it was started, or will not be: its end is told after that.</summary>
    public Task StartTold => _startTold.Task;

    public Status Status => _phase switch
    {
        ProcessPhase.Created => Status.Created,
        ProcessPhase.Running => Status.Running,
        _ => Status.Stopped,
    };

    public void HasStarted()
    {
        StartedAt = DateTimeOffset.UtcNow;
        lock (_lock)
        {
            if (_phase == ProcessPhase.Created)
            {
                _phase = ProcessPhase.Running;
            }
        }
    }

    public void TellStart() => _startTold.TrySetResult();

    /// <summary>False if it had ended before.</summary>
    public bool TryExit(ProcessExit exit)
    {
        lock (_lock)
        {
            if (_phase == ProcessPhase.Stopped)
            {
                return false;
            }

            // Before anyone who waits for the end hears of it, and removes it.
            _phase = ProcessPhase.Stopped;
        }

        _exited.SetResult(exit);
        return true;
    }
}
