using Google.Protobuf.Collections;
using Hearth.Cri.Protocol;
using Hearth.Runtime.Pods;
using Container = Hearth.Cri.Protocol.Container;
using ContainerConfig = Hearth.Runtime.Pods.ContainerConfig;
using MountPropagation = Hearth.Runtime.Pods.MountPropagation;
using NamespaceMode = Hearth.Runtime.Pods.NamespaceMode;

namespace Hearth.Programs.Daemon.Cri;

/// <summary>What the runtime knows, in CRI's words. Times are nanoseconds since 1970.</summary>
internal static class ToCri
{
    private const long NanosecondsPerTick = 100;

    public static long Time(DateTimeOffset time) => (time.UtcTicks - DateTimeOffset.UnixEpoch.Ticks) * NanosecondsPerTick;

    public static long Time(DateTimeOffset? time) => time is { } known ? Time(known) : 0;

    public static UInt64Value Number(ulong value) => new() { Value = value };

    public static PodSandbox Listed(Pod pod)
    {
        var listed = new PodSandbox
        {
            Id = pod.Id,
            Metadata = Metadata(pod),
            State = State(pod),
            CreatedAt = Time(pod.CreatedAt),
            RuntimeHandler = pod.AskedHandler,
        };
        Add(listed.Labels, pod.Config.Labels);
        Add(listed.Annotations, pod.Config.Annotations);
        return listed;
    }

    public static PodSandboxStatus Status(Pod pod)
    {
        var status = new PodSandboxStatus
        {
            Id = pod.Id,
            Metadata = Metadata(pod),
            State = State(pod),
            CreatedAt = Time(pod.CreatedAt),
            Network = new PodSandboxNetworkStatus { Ip = pod.Ips.FirstOrDefault() ?? "" },
            Linux = new LinuxPodSandboxStatus { Namespaces = new Namespace { Options = Namespaces(pod.Config.Security.Namespaces) } },
            RuntimeHandler = pod.AskedHandler,
        };
        status.Network.AdditionalIps.Add(pod.Ips.Skip(1).Select(static ip => new PodIP { Ip = ip }));
        Add(status.Labels, pod.Config.Labels);
        Add(status.Annotations, pod.Config.Annotations);
        return status;
    }

    public static Container Listed(Runtime.Pods.Container container)
    {
        var listed = new Container
        {
            Id = container.Id,
            PodSandboxId = container.PodId,
            Metadata = Metadata(container.Config),
            Image = Image(container.Config),
            ImageRef = container.ImageRef,
            ImageId = container.ImageId,
            State = State(container),
            CreatedAt = Time(container.CreatedAt),
        };
        Add(listed.Labels, container.Config.Labels);
        Add(listed.Annotations, container.Config.Annotations);
        return listed;
    }

    public static ContainerStatus Status(Runtime.Pods.Container container)
    {
        var status = new ContainerStatus
        {
            Id = container.Id,
            Metadata = Metadata(container.Config),
            State = State(container),
            CreatedAt = Time(container.CreatedAt),
            StartedAt = Time(container.StartedAt),
            FinishedAt = Time(container.FinishedAt),
            ExitCode = container.ExitCode,
            Image = Image(container.Config),
            ImageRef = container.ImageRef,
            ImageId = container.ImageId,
            Reason = container.Reason,
            Message = container.Message,
            LogPath = container.LogPath,
            Resources = new ContainerResources { Linux = Resources(container.Resources) },
            User = new ContainerUser { Linux = new LinuxContainerUser { Uid = container.User.Uid, Gid = container.User.Gid } },
            StopSignal = Signals.FromNumber(container.StopSignal),
        };
        status.User.Linux.SupplementalGroups.Add(container.User.Groups.Select(static group => (long)group));
        status.Mounts.Add(container.Config.Mounts.Select(Mount));
        Add(status.Labels, container.Config.Labels);
        Add(status.Annotations, container.Config.Annotations);
        return status;
    }

    public static PodSandboxAttributes Attributes(Pod pod)
    {
        var attributes = new PodSandboxAttributes { Id = pod.Id, Metadata = Metadata(pod) };
        Add(attributes.Labels, pod.Config.Labels);
        Add(attributes.Annotations, pod.Config.Annotations);
        return attributes;
    }

    public static ContainerAttributes Attributes(Runtime.Pods.Container container)
    {
        var attributes = new ContainerAttributes { Id = container.Id, Metadata = Metadata(container.Config) };
        Add(attributes.Labels, container.Config.Labels);
        Add(attributes.Annotations, container.Config.Annotations);
        return attributes;
    }

    public static void Add(MapField<string, string> map, IReadOnlyDictionary<string, string> content)
    {
        foreach ((string key, string value) in content)
        {
            map[key] = value;
        }
    }

    private static PodSandboxMetadata Metadata(Pod pod) => new()
    {
        Name = pod.Config.Metadata.Name,
        Uid = pod.Config.Metadata.Uid,
        Namespace = pod.Config.Metadata.Namespace,
        Attempt = pod.Config.Metadata.Attempt,
    };

    private static ContainerMetadata Metadata(ContainerConfig config) => new() { Name = config.Name, Attempt = config.Attempt };

    private static PodSandboxState State(Pod pod) => pod.IsReady ? PodSandboxState.SandboxReady : PodSandboxState.SandboxNotready;

    private static ContainerState State(Runtime.Pods.Container container) => container.Phase switch
    {
        ContainerPhase.Creating or ContainerPhase.Created => ContainerState.ContainerCreated,
        ContainerPhase.Running => ContainerState.ContainerRunning,
        ContainerPhase.Exited => ContainerState.ContainerExited,
        _ => ContainerState.ContainerUnknown,
    };

    private static ImageSpec Image(ContainerConfig config)
    {
        var image = new ImageSpec { Image = config.Image, UserSpecifiedImage = config.UserSpecifiedImage };
        Add(image.Annotations, config.ImageAnnotations);
        return image;
    }

    private static LinuxContainerResources Resources(LinuxResources resources)
    {
        var result = new LinuxContainerResources
        {
            CpuPeriod = resources.CpuPeriod,
            CpuQuota = resources.CpuQuota,
            CpuShares = resources.CpuShares,
            MemoryLimitInBytes = resources.MemoryBytes,
            MemorySwapLimitInBytes = resources.MemorySwapBytes,
            OomScoreAdj = resources.OomScoreAdj,
            CpusetCpus = resources.CpusetCpus,
            CpusetMems = resources.CpusetMems,
        };
        result.HugepageLimits.Add(resources.HugepageLimits.Select(static limit => new HugepageLimit { PageSize = limit.Key, Limit = limit.Value }));
        Add(result.Unified, resources.Unified);
        return result;
    }

    private static Mount Mount(ContainerMount mount)
    {
        var result = new Mount
        {
            ContainerPath = mount.ContainerPath,
            HostPath = mount.HostPath,
            Readonly = mount.Readonly,
            RecursiveReadOnly = mount.RecursiveReadonly,
            SelinuxRelabel = mount.SelinuxRelabel,
            Propagation = mount.Propagation switch
            {
                MountPropagation.HostToContainer => Hearth.Cri.Protocol.MountPropagation.PropagationHostToContainer,
                MountPropagation.Bidirectional => Hearth.Cri.Protocol.MountPropagation.PropagationBidirectional,
                _ => Hearth.Cri.Protocol.MountPropagation.PropagationPrivate,
            },
            Image = mount.Image is { } image ? new ImageSpec { Image = image, ImageRef = mount.ImageId } : null,
            ImageSubPath = mount.ImageSubPath,
        };
        result.UidMappings.Add(mount.UidMappings.Select(Mapping));
        result.GidMappings.Add(mount.GidMappings.Select(Mapping));
        return result;
    }

    private static IDMapping Mapping(IdRange range) => new() { HostId = range.HostId, ContainerId = range.ContainerId, Length = range.Length };

    private static NamespaceOption Namespaces(NamespaceOptions options)
    {
        var result = new NamespaceOption { Network = Mode(options.Network), Pid = Mode(options.Pid), Ipc = Mode(options.Ipc), TargetId = options.TargetId };
        if (options.User is { } user)
        {
            result.UsernsOptions = new UserNamespace { Mode = Mode(user.Mode) };
            result.UsernsOptions.Uids.Add(user.Uids.Select(Mapping));
            result.UsernsOptions.Gids.Add(user.Gids.Select(Mapping));
        }

        return result;
    }

    private static Hearth.Cri.Protocol.NamespaceMode Mode(NamespaceMode mode) => mode switch
    {
        NamespaceMode.Container => Hearth.Cri.Protocol.NamespaceMode.Container,
        NamespaceMode.Node => Hearth.Cri.Protocol.NamespaceMode.Node,
        NamespaceMode.Target => Hearth.Cri.Protocol.NamespaceMode.Target,
        _ => Hearth.Cri.Protocol.NamespaceMode.Pod,
    };
}
