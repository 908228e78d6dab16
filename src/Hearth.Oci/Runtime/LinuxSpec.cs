namespace Hearth.Oci.Runtime;

/// <summary>What is Linux's own. Source: runtime-spec config-linux.md.</summary>
public sealed record LinuxSpec
{
    public IReadOnlyList<NamespaceSpec> Namespaces { get => field ?? []; init; }

    public IReadOnlyList<IdMappingSpec> UidMappings { get => field ?? []; init; }

    public IReadOnlyList<IdMappingSpec> GidMappings { get => field ?? []; init; }

    public IReadOnlyList<DeviceSpec> Devices { get => field ?? []; init; }

    public string? CgroupsPath { get; init; }

    public ResourcesSpec? Resources { get; init; }

    /// <summary>private, shared, slave or unbindable.</summary>
    public string? RootfsPropagation { get; init; }

    public SeccompSpec? Seccomp { get; init; }

    public IReadOnlyDictionary<string, string>? Sysctl { get; init; }

    public IReadOnlyList<string> MaskedPaths { get => field ?? []; init; }

    public IReadOnlyList<string> ReadonlyPaths { get => field ?? []; init; }

    public string? MountLabel { get; init; }
}

/// <summary>A namespace: a new one, or the one at a path.</summary>
public sealed record NamespaceSpec
{
    /// <summary>pid, network, mount, ipc, uts, user, cgroup or time.</summary>
    public required string Type { get; init; }

    public string? Path { get; init; }
}

/// <summary>A range of ids of a user namespace.</summary>
public sealed record IdMappingSpec
{
    public uint ContainerID { get; init; }

    public uint HostID { get; init; }

    public uint Size { get; init; }
}

/// <summary>A device node in the container.</summary>
public sealed record DeviceSpec
{
    /// <summary>c, b, u or p.</summary>
    public required string Type { get; init; }

    public required string Path { get; init; }

    public long Major { get; init; }

    public long Minor { get; init; }

    /// <summary>Permissions, as a number: 438 is 0666.</summary>
    public uint? FileMode { get; init; }

    public uint? Uid { get; init; }

    public uint? Gid { get; init; }
}
