namespace Hearth.Runtime.Pods;

/// <summary>What a pod is asked to be. The fields are CRI's PodSandboxConfig; Hearth's own record, so that other doors than CRI can fill it.</summary>
public sealed record PodConfig
{
    public required PodMetadata Metadata { get; init; }

    /// <summary>Empty for the host's, if the pod is in the host's network, else for the pod's name.</summary>
    public string Hostname { get => field ?? ""; init; }

    /// <summary>Where containers' logs go; empty for nowhere.</summary>
    public string LogDirectory { get => field ?? ""; init; }

    /// <summary>Null: the host's resolv.conf.</summary>
    public DnsConfig? Dns { get; init; }

    public IReadOnlyList<PodPort> Ports { get => field ?? []; init; }

    public IReadOnlyDictionary<string, string> Labels { get => field ?? Empty.Map; init; }

    public IReadOnlyDictionary<string, string> Annotations { get => field ?? Empty.Map; init; }

    /// <summary>A cgroup of the host that the pod's processes are put under; empty for Hearth's own.</summary>
    public string CgroupParent { get => field ?? ""; init; }

    public PodSecurity Security { get => field ?? new(); init; }

    public IReadOnlyDictionary<string, string> Sysctls { get => field ?? Empty.Map; init; }

    /// <summary>What the pod costs beside its containers, as its RuntimeClass says; null for not said.</summary>
    public LinuxResources? Overhead { get; init; }

    /// <summary>The sum of its containers' limits, by which its machine is sized; null for not said.</summary>
    public LinuxResources? Resources { get; init; }
}

/// <summary>Names a pod for people: no two pods have the same four.</summary>
public sealed record PodMetadata
{
    public required string Name { get; init; }

    public string Uid { get => field ?? ""; init; }

    public string Namespace { get => field ?? ""; init; }

    public uint Attempt { get; init; }
}

/// <summary>What goes into resolv.conf.</summary>
public sealed record DnsConfig
{
    public IReadOnlyList<string> Servers { get => field ?? []; init; }

    public IReadOnlyList<string> Searches { get => field ?? []; init; }

    public IReadOnlyList<string> Options { get => field ?? []; init; }
}

/// <summary>A transport.</summary>
public enum PortProtocol
{
    Tcp,
    Udp,
    Sctp,
}

/// <summary>A port of the host that leads to one of the pod's; with <see cref="HostPort"/> 0 it is only told of.</summary>
public sealed record PodPort
{
    public PortProtocol Protocol { get; init; }

    public int ContainerPort { get; init; }

    public int HostPort { get; init; }

    /// <summary>Empty for all addresses.</summary>
    public string HostIp { get => field ?? ""; init; }
}

/// <summary>CRI's LinuxSandboxSecurityContext.</summary>
public sealed record PodSecurity
{
    public NamespaceOptions Namespaces { get => field ?? new(); init; }

    public long? RunAsUser { get; init; }

    public long? RunAsGroup { get; init; }

    public IReadOnlyList<long> SupplementalGroups { get => field ?? []; init; }

    public GroupsPolicy GroupsPolicy { get; init; }

    public bool ReadonlyRoot { get; init; }

    public bool Privileged { get; init; }

    public SecurityProfile? Seccomp { get; init; }

    public SecurityProfile? Apparmor { get; init; }
}

/// <summary>Whose namespace it is.</summary>
public enum NamespaceMode
{
    Pod,
    Container,
    Node,
    Target,
}

/// <summary>CRI's NamespaceOption.</summary>
public sealed record NamespaceOptions
{
    public NamespaceMode Network { get; init; }

    public NamespaceMode Pid { get; init; }

    public NamespaceMode Ipc { get; init; }

    /// <summary>With <see cref="NamespaceMode.Target"/>: the container.</summary>
    public string TargetId { get => field ?? ""; init; }

    /// <summary>Null for none asked for.</summary>
    public UserNamespaceOptions? User { get; init; }
}

/// <summary>CRI's UserNamespace.</summary>
public sealed record UserNamespaceOptions
{
    public NamespaceMode Mode { get; init; }

    public IReadOnlyList<IdRange> Uids { get => field ?? []; init; }

    public IReadOnlyList<IdRange> Gids { get => field ?? []; init; }
}

/// <summary>CRI's IDMapping.</summary>
public sealed record IdRange
{
    public uint HostId { get; init; }

    public uint ContainerId { get; init; }

    public uint Length { get; init; }
}

/// <summary>Whether groups that the image's /etc/group lists the user in are added.</summary>
public enum GroupsPolicy
{
    Merge,
    Strict,
}

/// <summary>A kind of security profile.</summary>
public enum ProfileKind
{
    RuntimeDefault,
    Unconfined,
    Localhost,
}

/// <summary>CRI's SecurityProfile.</summary>
public sealed record SecurityProfile
{
    public ProfileKind Kind { get; init; }

    /// <summary>With <see cref="ProfileKind.Localhost"/>: a path, for seccomp; a name, for AppArmor.</summary>
    public string LocalhostRef { get => field ?? ""; init; }
}

/// <summary>CRI's LinuxContainerResources: 0 and empty are not said.</summary>
public sealed record LinuxResources
{
    /// <summary>Microseconds.</summary>
    public long CpuPeriod { get; init; }

    /// <summary>Microseconds a period; -1 for no limit.</summary>
    public long CpuQuota { get; init; }

    public long CpuShares { get; init; }

    public long MemoryBytes { get; init; }

    /// <summary>Memory and swap together.</summary>
    public long MemorySwapBytes { get; init; }

    public long OomScoreAdj { get; init; }

    public string CpusetCpus { get => field ?? ""; init; }

    public string CpusetMems { get => field ?? ""; init; }

    /// <summary>Page size (<c>2MB</c>) and bytes.</summary>
    public IReadOnlyDictionary<string, ulong> HugepageLimits { get => field ?? Empty.Limits; init; }

    /// <summary>Files of a cgroup v2 and what is written to them.</summary>
    public IReadOnlyDictionary<string, string> Unified { get => field ?? Empty.Map; init; }
}

internal static class Empty
{
    public static readonly IReadOnlyDictionary<string, string> Map = new Dictionary<string, string>();

    public static readonly IReadOnlyDictionary<string, ulong> Limits = new Dictionary<string, ulong>();
}
