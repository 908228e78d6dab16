using System.Text.Json.Serialization;

namespace Hearth.Firecracker.Models;

/// <summary>How much memory a snapshot has.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<SnapshotType>))]
public enum SnapshotType
{
    Full,

    /// <summary>What was written since the last one.</summary>
    Diff,
}

/// <summary>Makes a snapshot of a paused microVM.</summary>
public sealed record SnapshotCreateParams
{
    public required string MemFilePath { get; init; }

    public required string SnapshotPath { get; init; }

    public SnapshotType? SnapshotType { get; init; }
}

/// <summary>Where a restored guest's memory comes from.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<MemoryBackendType>))]
public enum MemoryBackendType
{
    File,

    /// <summary>A page fault handler at a Unix socket.</summary>
    Uffd,
}

/// <summary>Where a restored guest's memory comes from.</summary>
public sealed record MemoryBackend
{
    public required MemoryBackendType BackendType { get; init; }

    public required string BackendPath { get; init; }
}

/// <summary>Another TAP for a restored guest's interface.</summary>
public sealed record NetworkOverride
{
    public required string IfaceId { get; init; }

    public required string HostDevName { get; init; }
}

/// <summary>Another socket for a restored guest's vsock device.</summary>
public sealed record VsockOverride
{
    public required string UdsPath { get; init; }
}

/// <summary>What backs a restored guest's memory.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<SnapshotHugePages>))]
public enum SnapshotHugePages
{
    /// <summary>As it was.</summary>
    Snapshot,
    None,
    Transparent,

    [JsonStringEnumMemberName("2M")]
    Hugetlbfs2M,
}

/// <summary>Restores a microVM in a monitor that has none.</summary>
public sealed record SnapshotLoadParams
{
    public required string SnapshotPath { get; init; }

    /// <summary>Either this or <see cref="MemBackend"/>.</summary>
    public string? MemFilePath { get; init; }

    public MemoryBackend? MemBackend { get; init; }

    /// <summary>Deprecated by Firecracker: <see cref="TrackDirtyPages"/>.</summary>
    public bool? EnableDiffSnapshots { get; init; }

    public bool? TrackDirtyPages { get; init; }

    public bool? ResumeVm { get; init; }

    public IReadOnlyList<NetworkOverride>? NetworkOverrides { get; init; }

    public VsockOverride? VsockOverride { get; init; }

    public bool? ClockRealtime { get; init; }

    public SnapshotHugePages? HugePages { get; init; }
}
