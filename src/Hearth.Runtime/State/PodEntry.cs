using Hearth.Runtime.Handlers;
using Hearth.Runtime.Pods;

namespace Hearth.Runtime.State;

/// <summary>A pod that this process knows. Thread: any; see each member.</summary>
internal sealed class PodEntry(Pod record, IPodHandler handler)
{
    private volatile Pod _record = record;
    private volatile IRunningPod? _running;

    /// <summary>As it is now. Written under <see cref="Gate"/>, and by the end of the pod, which comes by itself, under <see cref="Sync"/>.</summary>
    public Pod Record
    {
        get => _record;
        set => _record = value;
    }

    public IPodHandler Handler { get; } = handler;

    /// <summary>What starts, stops and removes it, one at a time.</summary>
    public SemaphoreSlim Gate { get; } = new(1, 1);

    /// <summary>Guards read-and-write of <see cref="Record"/>.</summary>
    public Lock Sync { get; } = new();

    /// <summary>Null once it has ended.</summary>
    public IRunningPod? Running
    {
        get => _running;
        set => _running = value;
    }

    /// <summary>It is being stopped as asked: its end is no news. Changed under <see cref="Gate"/>.</summary>
    public volatile bool Stopping;

    /// <summary>Why it ended by itself; null as long as it has not. Changed under <see cref="Sync"/>.</summary>
    public volatile string? EndedReason;

    /// <summary>Nothing is to be done with it any more. Changed under <see cref="Gate"/>.</summary>
    public bool Removed { get; set; }

    /// <summary>CPU time of an earlier moment, to tell of CPU time a second.</summary>
    public CpuMeter Cpu { get; } = new();
}

/// <summary>CPU time a second, by two samples.</summary>
internal sealed class CpuMeter
{
    // Guards the fields.
    private readonly Lock _sync = new();
    private DateTimeOffset _at;
    private ulong _nanoseconds;

    /// <summary>Takes a sample; null where there was none before, or at the same time.</summary>
    public CpuUse Take(DateTimeOffset at, ulong nanoseconds)
    {
        lock (_sync)
        {
            double seconds = _at == default ? 0 : (at - _at).TotalSeconds;
            if (seconds <= 0)
            {
                (_at, _nanoseconds) = _at == default ? (at, nanoseconds) : (_at, _nanoseconds);
                return new CpuUse(nanoseconds, null);
            }

            // A cgroup that was made anew counts from 0.
            ulong spent = nanoseconds >= _nanoseconds ? nanoseconds - _nanoseconds : 0;
            (_at, _nanoseconds) = (at, nanoseconds);
            return new CpuUse(nanoseconds, (ulong)(spent / seconds));
        }
    }
}
