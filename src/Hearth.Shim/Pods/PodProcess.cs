using System.Diagnostics;
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

    // Guards the changes of _phase and _exit.
    private readonly Lock _lock = new();
    private volatile ProcessExit? _exit;
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

    /// <summary>How it ended; there as soon as its phase is stopped, and null before.</summary>
    public ProcessExit? Exit => _exit;

    /// <summary>How it ended; completes when it has, what it wrote has been handed on, and the manager is told.</summary>
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

    /// <summary>It has ended, which <see cref="TellExit"/> is to tell. False if it had ended before.</summary>
    public bool TryExit(ProcessExit exit)
    {
        lock (_lock)
        {
            if (_phase == ProcessPhase.Stopped)
            {
                return false;
            }

            // Who sees that it has stopped sees how.
            _exit = exit;
            _phase = ProcessPhase.Stopped;
        }

        return true;
    }

    /// <summary>Whoever waits for the end hears of it, and may remove it.</summary>
    public void TellExit() => _exited.TrySetResult(_exit ?? throw new UnreachableException("The process has not ended."));
}
