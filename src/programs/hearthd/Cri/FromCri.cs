using System.Text;
using Google.Protobuf.Collections;
using Hearth.Cri.Protocol;
using Hearth.Runtime.Pods;
using IdRange = Hearth.Runtime.Pods.IdRange;
using MountPropagation = Hearth.Runtime.Pods.MountPropagation;
using NamespaceMode = Hearth.Runtime.Pods.NamespaceMode;
using SecurityProfile = Hearth.Runtime.Pods.SecurityProfile;

namespace Hearth.Programs.Daemon.Cri;

/// <summary>What clients of CRI say, in the words of the runtime.</summary>
internal static class FromCri
{
    public static PodConfig Pod(PodSandboxConfig? config)
    {
        if (config?.Metadata is not { Name.Length: > 0 } metadata)
        {
            throw new PodException(PodFault.InvalidArgument, "The pod has no metadata, or no name in it.");
        }

        LinuxPodSandboxConfig linux = config.Linux ?? new LinuxPodSandboxConfig();
        LinuxSandboxSecurityContext security = linux.SecurityContext ?? new LinuxSandboxSecurityContext();
        return new PodConfig
        {
            Metadata = new PodMetadata { Name = metadata.Name, Uid = metadata.Uid, Namespace = metadata.Namespace, Attempt = metadata.Attempt },
            Hostname = config.Hostname,
            LogDirectory = config.LogDirectory,
            Dns = config.DnsConfig is { } dns ? new DnsConfig { Servers = [.. dns.Servers], Searches = [.. dns.Searches], Options = [.. dns.Options] } : null,
            Ports = [.. config.PortMappings.Select(Port)],
            Labels = Map(config.Labels),
            Annotations = Map(config.Annotations),
            CgroupParent = linux.CgroupParent,
            Sysctls = Map(linux.Sysctls),
            Overhead = Resources(linux.Overhead),
            Resources = Resources(linux.Resources),
            Security = new PodSecurity
            {
                Namespaces = Namespaces(security.NamespaceOptions),
                RunAsUser = security.RunAsUser?.Value,
                RunAsGroup = security.RunAsGroup?.Value,
                SupplementalGroups = [.. security.SupplementalGroups],
                GroupsPolicy = Groups(security.SupplementalGroupsPolicy),
                ReadonlyRoot = security.ReadonlyRootfs,
                Privileged = security.Privileged,
                Seccomp = Profile(security.Seccomp),
                Apparmor = Profile(security.Apparmor),
            },
        };
    }

    public static Runtime.Pods.ContainerConfig Container(Hearth.Cri.Protocol.ContainerConfig? config)
    {
        if (config?.Metadata is not { Name.Length: > 0 } metadata)
        {
            throw new PodException(PodFault.InvalidArgument, "The container has no metadata, or no name in it.");
        }

        if (config.Image is not { Image.Length: > 0 } image)
        {
            throw new PodException(PodFault.InvalidArgument, $"The container {metadata.Name} names no image.");
        }

        return new Runtime.Pods.ContainerConfig
        {
            Name = metadata.Name,
            Attempt = metadata.Attempt,
            Image = image.Image,
            UserSpecifiedImage = image.UserSpecifiedImage,
            ImageAnnotations = Map(image.Annotations),
            Command = [.. config.Command],
            Args = [.. config.Args],
            WorkingDir = config.WorkingDir,
            // Values are bytes on the wire, and text in every runtime specification.
            Env = [.. config.Envs.Select(static variable => $"{variable.Key}={Encoding.UTF8.GetString(variable.Value.Span)}")],
            Mounts = [.. config.Mounts.Select(Mount)],
            Devices = [.. config.Devices.Select(static device => new ContainerDevice
            {
                ContainerPath = device.ContainerPath,
                HostPath = device.HostPath,
                Permissions = device.Permissions.Length > 0 ? device.Permissions : "rwm",
            })],
            CdiDevices = [.. config.CDIDevices.Select(static device => device.Name)],
            Labels = Map(config.Labels),
            Annotations = Map(config.Annotations),
            LogPath = config.LogPath,
            Stdin = config.Stdin,
            StdinOnce = config.StdinOnce,
            Tty = config.Tty,
            Resources = Resources(config.Linux?.Resources),
            Security = Security(config.Linux?.SecurityContext ?? new LinuxContainerSecurityContext()),
            StopSignal = Signals.Number(config.StopSignal),
        };
    }

    public static LinuxResources? Resources(LinuxContainerResources? resources) => resources is null ? null : new LinuxResources
    {
        CpuPeriod = resources.CpuPeriod,
        CpuQuota = resources.CpuQuota,
        CpuShares = resources.CpuShares,
        MemoryBytes = resources.MemoryLimitInBytes,
        MemorySwapBytes = resources.MemorySwapLimitInBytes,
        OomScoreAdj = resources.OomScoreAdj,
        CpusetCpus = resources.CpusetCpus,
        CpusetMems = resources.CpusetMems,
        HugepageLimits = resources.HugepageLimits.GroupBy(static limit => limit.PageSize).ToDictionary(static group => group.Key, static group => group.Last().Limit),
        Unified = Map(resources.Unified),
    };

    public static PodFilter PodFilter(PodSandboxFilter? filter) => filter is null ? new PodFilter() : new PodFilter
    {
        Id = filter.Id,
        Ready = filter.State is { } state ? state.State == PodSandboxState.SandboxReady : null,
        Labels = Map(filter.LabelSelector),
    };

    public static PodFilter PodFilter(PodSandboxStatsFilter? filter) => filter is null ? new PodFilter() : new PodFilter
    {
        Id = filter.Id,
        Labels = Map(filter.LabelSelector),
    };

    public static Runtime.Pods.ContainerFilter ContainerFilter(Hearth.Cri.Protocol.ContainerFilter? filter) => filter is null ? new Runtime.Pods.ContainerFilter() : new Runtime.Pods.ContainerFilter
    {
        Id = filter.Id,
        PodId = filter.PodSandboxId,
        Phase = filter.State?.State switch
        {
            null => null,
            ContainerState.ContainerCreated => ContainerPhase.Created,
            ContainerState.ContainerRunning => ContainerPhase.Running,
            ContainerState.ContainerExited => ContainerPhase.Exited,
            _ => ContainerPhase.Unknown,
        },
        Labels = Map(filter.LabelSelector),
    };

    public static Runtime.Pods.ContainerFilter ContainerFilter(ContainerStatsFilter? filter) => filter is null ? new Runtime.Pods.ContainerFilter() : new Runtime.Pods.ContainerFilter
    {
        Id = filter.Id,
        PodId = filter.PodSandboxId,
        Labels = Map(filter.LabelSelector),
    };

    private static ContainerSecurity Security(LinuxContainerSecurityContext security) => new()
    {
        AddCapabilities = [.. security.Capabilities?.AddCapabilities ?? []],
        DropCapabilities = [.. security.Capabilities?.DropCapabilities ?? []],
        AddAmbientCapabilities = [.. security.Capabilities?.AddAmbientCapabilities ?? []],
        Privileged = security.Privileged,
        Namespaces = Namespaces(security.NamespaceOptions),
        RunAsUser = security.RunAsUser?.Value,
        RunAsGroup = security.RunAsGroup?.Value,
        RunAsUsername = security.RunAsUsername,
        SupplementalGroups = [.. security.SupplementalGroups],
        GroupsPolicy = Groups(security.SupplementalGroupsPolicy),
        ReadonlyRoot = security.ReadonlyRootfs,
        NoNewPrivileges = security.NoNewPrivs,
        MaskedPaths = [.. security.MaskedPaths],
        ReadonlyPaths = [.. security.ReadonlyPaths],
        Seccomp = Profile(security.Seccomp),
        Apparmor = Profile(security.Apparmor),
        Selinux = security.SelinuxOptions is { } label && (label.User + label.Role + label.Type + label.Level).Length > 0,
    };

    private static PodPort Port(PortMapping port) => new()
    {
        Protocol = port.Protocol switch
        {
            Protocol.Udp => PortProtocol.Udp,
            Protocol.Sctp => PortProtocol.Sctp,
            _ => PortProtocol.Tcp,
        },
        ContainerPort = port.ContainerPort,
        HostPort = port.HostPort,
        HostIp = port.HostIp,
    };

    private static ContainerMount Mount(Mount mount) => new()
    {
        ContainerPath = mount.ContainerPath,
        HostPath = mount.HostPath,
        Readonly = mount.Readonly,
        RecursiveReadonly = mount.RecursiveReadOnly,
        SelinuxRelabel = mount.SelinuxRelabel,
        Propagation = mount.Propagation switch
        {
            Hearth.Cri.Protocol.MountPropagation.PropagationHostToContainer => MountPropagation.HostToContainer,
            Hearth.Cri.Protocol.MountPropagation.PropagationBidirectional => MountPropagation.Bidirectional,
            _ => MountPropagation.Private,
        },
        UidMappings = Ranges(mount.UidMappings),
        GidMappings = Ranges(mount.GidMappings),
        Image = mount.Image is { Image.Length: > 0 } image ? image.Image : null,
        ImageSubPath = mount.ImageSubPath,
    };

    private static NamespaceOptions Namespaces(NamespaceOption? options) => options is null ? new NamespaceOptions() : new NamespaceOptions
    {
        Network = Mode(options.Network),
        Pid = Mode(options.Pid),
        Ipc = Mode(options.Ipc),
        TargetId = options.TargetId,
        User = options.UsernsOptions is { } user ? new UserNamespaceOptions { Mode = Mode(user.Mode), Uids = Ranges(user.Uids), Gids = Ranges(user.Gids) } : null,
    };

    private static NamespaceMode Mode(Hearth.Cri.Protocol.NamespaceMode mode) => mode switch
    {
        Hearth.Cri.Protocol.NamespaceMode.Container => NamespaceMode.Container,
        Hearth.Cri.Protocol.NamespaceMode.Node => NamespaceMode.Node,
        Hearth.Cri.Protocol.NamespaceMode.Target => NamespaceMode.Target,
        _ => NamespaceMode.Pod,
    };

    private static GroupsPolicy Groups(SupplementalGroupsPolicy policy) =>
        policy == SupplementalGroupsPolicy.Strict ? GroupsPolicy.Strict : GroupsPolicy.Merge;

    private static SecurityProfile? Profile(Hearth.Cri.Protocol.SecurityProfile? profile) => profile is null ? null : new SecurityProfile
    {
        Kind = profile.ProfileType switch
        {
            Hearth.Cri.Protocol.SecurityProfile.Types.ProfileType.Unconfined => ProfileKind.Unconfined,
            Hearth.Cri.Protocol.SecurityProfile.Types.ProfileType.Localhost => ProfileKind.Localhost,
            _ => ProfileKind.RuntimeDefault,
        },
        LocalhostRef = profile.LocalhostRef,
    };

    private static IReadOnlyList<IdRange> Ranges(IEnumerable<IDMapping> ranges) =>
        [.. ranges.Select(static range => new IdRange { HostId = range.HostId, ContainerId = range.ContainerId, Length = range.Length })];

    private static Dictionary<string, string> Map(MapField<string, string> map) => new(map);
}
