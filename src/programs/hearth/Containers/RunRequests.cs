using Google.Protobuf;
using Hearth.Cri.Protocol;

namespace Hearth.Programs.Hearth.Containers;

/// <summary>CRI's requests for a pod with one container of the same name.</summary>
internal static class RunRequests
{
    /// <summary>The label of pods that <c>hearth run</c> made, and <c>hearth rm</c> removes with their container.</summary>
    public const string OwnPodLabel = "io.hearth.run";

    /// <summary>What CRI calls a group of pods; Kubernetes' pods have others.</summary>
    public const string Namespace = "hearth";

    private const long CpuPeriodMicroseconds = 100_000;
    private const int LongestHostname = 63;

    // What a container must not see or change of the guest's kernel; as every container manager has it.
    private static readonly string[] s_maskedPaths =
    [
        "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
        "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
    ];

    private static readonly string[] s_readOnlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

    /// <param name="options">What was asked for.</param>
    /// <param name="uid">The pod's, unique.</param>
    /// <param name="logs">The folder for the container's log.</param>
    public static PodSandboxConfig Pod(RunOptions options, string uid, string logs)
    {
        var pod = new PodSandboxConfig
        {
            Metadata = new PodSandboxMetadata { Name = options.Name, Namespace = Namespace, Uid = uid },
            Hostname = Hostname(options),
            LogDirectory = logs,
            Linux = new LinuxPodSandboxConfig
            {
                Resources = Resources(options),
                SecurityContext = new LinuxSandboxSecurityContext
                {
                    NamespaceOptions = Namespaces(),
                    Privileged = options.Privileged,
                    Seccomp = Seccomp(options),
                },
            },
        };
        pod.Labels.Add(OwnPodLabel, "true");
        pod.Labels.Add(Labels(options));
        pod.PortMappings.Add(options.Ports.Select(Shorthand.Port));
        return pod;
    }

    public static ContainerConfig Container(RunOptions options)
    {
        var container = new ContainerConfig
        {
            Metadata = new ContainerMetadata { Name = options.Name },
            Image = new ImageSpec { Image = options.Image, UserSpecifiedImage = options.Image },
            WorkingDir = options.WorkingDirectory ?? "",
            LogPath = $"{options.Name}.log",
            Stdin = options.Interactive,
            // The person's end of input is the container's; one that is left may be attached to later.
            StdinOnce = options.Interactive && !options.Detach && !options.Tty,
            Tty = options.Tty,
            Linux = new LinuxContainerConfig { Resources = Resources(options), SecurityContext = Security(options) },
        };
        if (options.Entrypoint is { } entrypoint)
        {
            container.Command.Add(entrypoint);
        }

        container.Args.Add(options.Command);
        if (options.Tty)
        {
            container.Envs.Add(new KeyValue { Key = "TERM", Value = ByteString.CopyFromUtf8(Environment.GetEnvironmentVariable("TERM") is { Length: > 0 } term ? term : "xterm") });
        }

        foreach (string text in options.Environment)
        {
            if (Shorthand.Variable(text) is { } variable)
            {
                container.Envs.Add(new KeyValue { Key = variable.Name, Value = ByteString.CopyFromUtf8(variable.Value) });
            }
        }

        container.Mounts.Add(options.Volumes.Select(Shorthand.Volume));
        container.Labels.Add(OwnPodLabel, "true");
        container.Labels.Add(Labels(options));
        return container;
    }

    private static string Hostname(RunOptions options)
    {
        string name = options.Hostname ?? options.Name.Replace('_', '-').Replace('.', '-');
        return name.Length > LongestHostname ? name[..LongestHostname] : name;
    }

    private static NamespaceOption Namespaces() => new() { Network = NamespaceMode.Pod, Pid = NamespaceMode.Container, Ipc = NamespaceMode.Pod };

    private static SecurityProfile Seccomp(RunOptions options) => new()
    {
        ProfileType = options.Privileged ? SecurityProfile.Types.ProfileType.Unconfined : SecurityProfile.Types.ProfileType.RuntimeDefault,
    };

    private static LinuxContainerSecurityContext Security(RunOptions options)
    {
        var security = new LinuxContainerSecurityContext
        {
            Privileged = options.Privileged,
            ReadonlyRootfs = options.ReadOnly,
            NamespaceOptions = Namespaces(),
            Seccomp = Seccomp(options),
            Capabilities = new Capability(),
        };
        security.Capabilities.AddCapabilities.Add(options.AddedCapabilities.Select(Shorthand.Capability));
        security.Capabilities.DropCapabilities.Add(options.DroppedCapabilities.Select(Shorthand.Capability));
        if (!options.Privileged)
        {
            security.MaskedPaths.Add(s_maskedPaths);
            security.ReadonlyPaths.Add(s_readOnlyPaths);
        }

        if (options.User is { } user)
        {
            Shorthand.SetUser(security, user);
        }

        return security;
    }

    private static LinuxContainerResources Resources(RunOptions options)
    {
        var resources = new LinuxContainerResources();
        if (options.Cpus is { } cpus)
        {
            resources.CpuPeriod = CpuPeriodMicroseconds;
            resources.CpuQuota = (long)(Shorthand.Cpus(cpus) * CpuPeriodMicroseconds);
        }

        if (options.Memory is { } memory)
        {
            resources.MemoryLimitInBytes = Shorthand.Bytes(memory);
        }

        return resources;
    }

    private static Dictionary<string, string> Labels(RunOptions options)
    {
        var labels = new Dictionary<string, string>();
        foreach (string text in options.Labels)
        {
            int equals = text.IndexOf('=');
            labels[equals < 0 ? text : text[..equals]] = equals < 0 ? "" : text[(equals + 1)..];
        }

        labels.Remove(OwnPodLabel);
        return labels;
    }
}
