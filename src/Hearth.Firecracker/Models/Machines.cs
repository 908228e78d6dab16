using System.Text.Json.Serialization;

namespace Hearth.Firecracker.Models;

/// <summary>What backs guest memory.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<HugePages>))]
public enum HugePages
{
    None,
    Transparent,

    /// <summary>Pages of hugetlbfs, 2 MiB each.</summary>
    [JsonStringEnumMemberName("2M")]
    Hugetlbfs2M,
}

/// <summary>vCPUs and memory.</summary>
public sealed record MachineConfiguration
{
    /// <summary>1 to 32.</summary>
    public required int VcpuCount { get; init; }

    public required long MemSizeMib { get; init; }

    public bool? Smt { get; init; }

    public bool? TrackDirtyPages { get; init; }

    public HugePages? HugePages { get; init; }

    /// <summary>A static CPU template: C3, T2, T2S, T2CL, T2A, V1N1 or None. Deprecated by Firecracker.</summary>
    public string? CpuTemplate { get; init; }
}

/// <summary>What of <see cref="MachineConfiguration"/> is to change.</summary>
public sealed record PartialMachineConfiguration
{
    public int? VcpuCount { get; init; }

    public long? MemSizeMib { get; init; }

    public bool? Smt { get; init; }

    public bool? TrackDirtyPages { get; init; }

    public HugePages? HugePages { get; init; }

    public string? CpuTemplate { get; init; }
}

/// <summary>What the guest boots; paths as the monitor sees them.</summary>
public sealed record BootSource
{
    public required string KernelImagePath { get; init; }

    public string? InitrdPath { get; init; }

    /// <summary>The kernel's command line; null for the monitor's default.</summary>
    public string? BootArgs { get; init; }
}

/// <summary>What a microVM is doing.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<InstanceState>))]
public enum InstanceState
{
    [JsonStringEnumMemberName("Not started")]
    NotStarted,
    Running,
    Paused,
}

/// <summary>Who answers, and what its microVM is doing.</summary>
public sealed record InstanceInfo
{
    public required string AppName { get; init; }

    public required string Id { get; init; }

    public required InstanceState State { get; init; }

    public required string VmmVersion { get; init; }
}

/// <summary>What can be asked of a microVM.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<InstanceActionType>))]
public enum InstanceActionType
{
    FlushMetrics,
    InstanceStart,
    SendCtrlAltDel,
}

/// <summary>Asks something of a microVM.</summary>
public sealed record InstanceActionInfo
{
    public required InstanceActionType ActionType { get; init; }
}

/// <summary>Whether the vCPUs are to run.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<VmState>))]
public enum VmState
{
    Paused,
    Resumed,
}

/// <summary>Pauses or resumes a running microVM.</summary>
public sealed record Vm
{
    public required VmState State { get; init; }
}

/// <summary>The version of the API's implementation.</summary>
public sealed record FirecrackerVersion
{
    [JsonPropertyName("firecracker_version")]
    public required string Version { get; init; }
}

/// <summary>The body of an answer that refuses.</summary>
public sealed record Error
{
    public string? FaultMessage { get; init; }
}
