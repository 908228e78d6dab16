namespace Hearth.Oci.Runtime;

/// <summary>A container's limits. Source: runtime-spec config-linux.md, Control groups.</summary>
public sealed record ResourcesSpec
{
    public IReadOnlyList<DeviceRuleSpec> Devices { get => field ?? []; init; }

    public MemorySpec? Memory { get; init; }

    public CpuSpec? Cpu { get; init; }

    public PidsSpec? Pids { get; init; }

    public IReadOnlyList<HugepageLimitSpec> HugepageLimits { get => field ?? []; init; }

    /// <summary>Files of the cgroup and what is written to them, over everything else.</summary>
    public IReadOnlyDictionary<string, string>? Unified { get; init; }
}

/// <summary>A rule of the device controller; the last that matches counts.</summary>
public sealed record DeviceRuleSpec
{
    public bool Allow { get; init; }

    /// <summary>a, b or c; nothing is a.</summary>
    public string? Type { get; init; }

    public long? Major { get; init; }

    public long? Minor { get; init; }

    /// <summary>Of r, w and m.</summary>
    public string? Access { get; init; }
}

/// <summary>Bytes; -1 is no limit.</summary>
public sealed record MemorySpec
{
    public long? Limit { get; init; }

    public long? Reservation { get; init; }

    /// <summary>Memory and swap together, as cgroup v1 counts.</summary>
    public long? Swap { get; init; }

    public bool? DisableOOMKiller { get; init; }
}

/// <summary>Time and place.</summary>
public sealed record CpuSpec
{
    /// <summary>2 to 262144, as cgroup v1 counts; 1024 is the usual.</summary>
    public ulong? Shares { get; init; }

    /// <summary>Microseconds a period; -1 is no limit.</summary>
    public long? Quota { get; init; }

    /// <summary>Microseconds.</summary>
    public ulong? Period { get; init; }

    /// <summary>CPUs, as <c>0-3,7</c>.</summary>
    public string? Cpus { get; init; }

    /// <summary>Memory nodes, as <c>0-1</c>.</summary>
    public string? Mems { get; init; }

    public long? Idle { get; init; }
}

/// <summary>Processes and threads; 0 or less is no limit.</summary>
public sealed record PidsSpec
{
    public long Limit { get; init; }
}

/// <summary>Bytes of huge pages.</summary>
public sealed record HugepageLimitSpec
{
    /// <summary><c>2MB</c>, <c>1GB</c>.</summary>
    public required string PageSize { get; init; }

    public ulong Limit { get; init; }
}
