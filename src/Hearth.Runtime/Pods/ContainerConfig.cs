namespace Hearth.Runtime.Pods;

/// <summary>What a container is asked to be. The fields are CRI's ContainerConfig.</summary>
public sealed record ContainerConfig
{
    public required string Name { get; init; }

    public uint Attempt { get; init; }

    /// <summary>The image as the client names it: a name, an ID, or a name with a digest.</summary>
    public required string Image { get; init; }

    /// <summary>What the user wrote, of which <see cref="Image"/> came; only told back.</summary>
    public string UserSpecifiedImage { get => field ?? ""; init; }

    public IReadOnlyDictionary<string, string> ImageAnnotations { get => field ?? Empty.Map; init; }

    /// <summary>In place of the image's entry point.</summary>
    public IReadOnlyList<string> Command { get => field ?? []; init; }

    /// <summary>In place of the image's Cmd.</summary>
    public IReadOnlyList<string> Args { get => field ?? []; init; }

    public string WorkingDir { get => field ?? ""; init; }

    /// <summary><c>NAME=value</c>, over the image's.</summary>
    public IReadOnlyList<string> Env { get => field ?? []; init; }

    public IReadOnlyList<ContainerMount> Mounts { get => field ?? []; init; }

    public IReadOnlyList<ContainerDevice> Devices { get => field ?? []; init; }

    /// <summary>Names of CDI devices.</summary>
    public IReadOnlyList<string> CdiDevices { get => field ?? []; init; }

    public IReadOnlyDictionary<string, string> Labels { get => field ?? Empty.Map; init; }

    public IReadOnlyDictionary<string, string> Annotations { get => field ?? Empty.Map; init; }

    /// <summary>Below the pod's log directory; empty for no log.</summary>
    public string LogPath { get => field ?? ""; init; }

    public bool Stdin { get; init; }

    /// <summary>The input ends with the first client that was attached to it.</summary>
    public bool StdinOnce { get; init; }

    public bool Tty { get; init; }

    public LinuxResources? Resources { get; init; }

    public ContainerSecurity Security { get => field ?? new(); init; }

    /// <summary><c>SIGTERM</c>, <c>SIGRTMIN+3</c>, CRI's <c>SIGRTMINPLUS3</c>, or a number; empty for the image's.</summary>
    public string StopSignal { get => field ?? ""; init; }
}

/// <summary>How mounts travel between host and container.</summary>
public enum MountPropagation
{
    Private,
    HostToContainer,
    Bidirectional,
}

/// <summary>CRI's Mount.</summary>
public sealed record ContainerMount
{
    public required string ContainerPath { get; init; }

    /// <summary>A file or folder of the host; empty with <see cref="Image"/>.</summary>
    public string HostPath { get => field ?? ""; init; }

    public bool Readonly { get; init; }

    public bool RecursiveReadonly { get; init; }

    public bool SelinuxRelabel { get; init; }

    public MountPropagation Propagation { get; init; }

    public IReadOnlyList<IdRange> UidMappings { get => field ?? []; init; }

    public IReadOnlyList<IdRange> GidMappings { get => field ?? []; init; }

    /// <summary>The content of an image; null for a mount of the host's.</summary>
    public string? Image { get; init; }

    public string ImageSubPath { get => field ?? ""; init; }

    /// <summary>The ID of the image that is mounted; empty until its container is made.</summary>
    public string ImageId { get => field ?? ""; init; }
}

/// <summary>A device of the host.</summary>
public sealed record ContainerDevice
{
    public required string ContainerPath { get; init; }

    public required string HostPath { get; init; }

    /// <summary>Of r, w and m.</summary>
    public string Permissions { get => field ?? "rwm"; init; }
}

/// <summary>CRI's LinuxContainerSecurityContext.</summary>
public sealed record ContainerSecurity
{
    /// <summary>Names with or without <c>CAP_</c>, or <c>ALL</c>.</summary>
    public IReadOnlyList<string> AddCapabilities { get => field ?? []; init; }

    public IReadOnlyList<string> DropCapabilities { get => field ?? []; init; }

    public IReadOnlyList<string> AddAmbientCapabilities { get => field ?? []; init; }

    public bool Privileged { get; init; }

    public NamespaceOptions Namespaces { get => field ?? new(); init; }

    public long? RunAsUser { get; init; }

    public long? RunAsGroup { get; init; }

    /// <summary>Looked up in the image; not together with <see cref="RunAsUser"/>.</summary>
    public string RunAsUsername { get => field ?? ""; init; }

    public IReadOnlyList<long> SupplementalGroups { get => field ?? []; init; }

    public GroupsPolicy GroupsPolicy { get; init; }

    public bool ReadonlyRoot { get; init; }

    public bool NoNewPrivileges { get; init; }

    public IReadOnlyList<string> MaskedPaths { get => field ?? []; init; }

    public IReadOnlyList<string> ReadonlyPaths { get => field ?? []; init; }

    /// <summary>Null for the pod's, and for none if the pod has none.</summary>
    public SecurityProfile? Seccomp { get; init; }

    public SecurityProfile? Apparmor { get; init; }

    /// <summary>Whether an SELinux label was asked for.</summary>
    public bool Selinux { get; init; }
}
