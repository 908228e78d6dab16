namespace Hearth.Runtime.Pods;

/// <summary>What a container uses; <see cref="Container"/> says whose it is.</summary>
public sealed record ContainerUsage
{
    public required Container Container { get; init; }

    public required DateTimeOffset TakenAt { get; init; }

    public required CpuUse Cpu { get; init; }

    public required MemoryUse Memory { get; init; }

    public ulong Pids { get; init; }

    /// <summary>Of its writable layer.</summary>
    public ulong WritableBytes { get; init; }

    public ulong WritableInodes { get; init; }

    /// <summary>Where the writable layer is, on the host.</summary>
    public string WritableMountpoint { get; init; } = "";

    /// <summary>
    /// What else the kernel counts, by the names of the agent service's <c>StatsResponse.counters</c>: <c>memory.stat:file_mapped</c>,
    /// <c>threads</c>. Empty where the handler does not say.
    /// </summary>
    public IReadOnlyDictionary<string, ulong> Counters { get; init; } = new Dictionary<string, ulong>();
}

/// <param name="Nanoseconds">Of CPU time since its start.</param>
/// <param name="NanoCores">Nanoseconds a second, since the sample before; null for the first.</param>
public sealed record CpuUse(ulong Nanoseconds, ulong? NanoCores);

/// <summary>Bytes.</summary>
public sealed record MemoryUse
{
    public ulong Usage { get; init; }

    public ulong WorkingSet { get; init; }

    /// <summary>Anonymous memory.</summary>
    public ulong Rss { get; init; }

    /// <summary>0 for none.</summary>
    public ulong Limit { get; init; }

    /// <summary>Null without a limit.</summary>
    public ulong? Available => Limit == 0 ? null : Limit - Math.Min(Limit, WorkingSet);

    public ulong PageFaults { get; init; }

    public ulong MajorPageFaults { get; init; }
}

/// <summary>A network interface as the pod sees it: received is what comes to the pod.</summary>
public sealed record InterfaceUse(string Name, ulong ReceivedBytes, ulong ReceivedErrors, ulong SentBytes, ulong SentErrors)
{
    public ulong ReceivedPackets { get; init; }

    public ulong ReceivedDropped { get; init; }

    public ulong SentPackets { get; init; }

    public ulong SentDropped { get; init; }
}

/// <summary>What a pod uses, its containers with it. A pod that is not ready has no usage.</summary>
public sealed record PodUsage
{
    public required Pod Pod { get; init; }

    public required DateTimeOffset TakenAt { get; init; }

    public required CpuUse Cpu { get; init; }

    public required MemoryUse Memory { get; init; }

    public ulong Pids { get; init; }

    public IReadOnlyList<InterfaceUse> Interfaces { get; init; } = [];

    public IReadOnlyList<ContainerUsage> Containers { get; init; } = [];

    /// <summary>Of the host for the whole pod, the machine with it; 0 where the handler does not say.</summary>
    public ulong HostMemoryBytes { get; init; }

    public ulong HostCpuNanoseconds { get; init; }
}
