using Hearth.Oci.Runtime;
using Hearth.Runtime.Handlers;
using Hearth.Runtime.Pods;

namespace Hearth.Runtime.State;

/// <summary>A container that this process knows. Thread: any; see each member.</summary>
internal sealed class ContainerEntry(Container record, PodEntry pod)
{
    private volatile Container _record = record;

    /// <summary>As it is now. Changed under <see cref="Sync"/>.</summary>
    public Container Record
    {
        get => _record;
        set => _record = value;
    }

    public PodEntry Pod { get; } = pod;

    /// <summary>What starts, changes and removes it, one at a time. Stopping does not wait for it.</summary>
    public SemaphoreSlim Gate { get; } = new(1, 1);

    /// <summary>Guards read-and-write of <see cref="Record"/>, and <see cref="Starting"/>, <see cref="EndedEarly"/>.</summary>
    public Lock Sync { get; } = new();

    /// <summary>Completes when it has ended and its record says so.</summary>
    public TaskCompletionSource Ended { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Its start is under way: an end that is told of meanwhile waits in <see cref="EndedEarly"/>, so that no client sees an end before the start.</summary>
    public bool Starting { get; set; }

    public HandlerEvent.ContainerStopped? EndedEarly { get; set; }

    /// <summary>Keeps its image on the disk.</summary>
    public IReadOnlyList<IDisposable> Holds { get; set; } = [];

    /// <summary>Its first process, for execs to be like; null after a restart, then it is read from the bundle.</summary>
    public ProcessSpec? Process { get; set; }

    public CpuMeter Cpu { get; } = new();

    public void ReleaseHolds()
    {
        foreach (IDisposable hold in Holds)
        {
            hold.Dispose();
        }

        Holds = [];
    }
}
