namespace Hearth.Runtime.Pods;

/// <summary>A pod at one moment: never changes, and is what lies on the disk (<c>ROOT/pods/ID.json</c>).</summary>
public sealed record Pod
{
    /// <summary>64 hexadecimal digits.</summary>
    public required string Id { get; init; }

    public required PodConfig Config { get; init; }

    /// <summary><c>microvm</c> or <c>oci</c>.</summary>
    public required string Handler { get; init; }

    /// <summary>The handler that the client named; empty for none. CRI wants this one told back.</summary>
    public string AskedHandler { get => field ?? ""; init; }

    public PodPhase Phase { get; init; }

    /// <summary>Why it is not ready; empty if it is, or was stopped as asked.</summary>
    public string Reason { get => field ?? ""; init; }

    public DateTimeOffset CreatedAt { get; init; }

    /// <summary>The path of its network namespace; empty for the host's, or once it is gone.</summary>
    public string NetworkNamespace { get => field ?? ""; init; }

    /// <summary>Its addresses, the first the one that is told first.</summary>
    public IReadOnlyList<string> Ips { get => field ?? []; init; }

    /// <summary>Whether its network has been given back, or it never had one.</summary>
    public bool NetworkReleased { get; init; }

    /// <summary>The handler's own, to find the pod again.</summary>
    public IReadOnlyDictionary<string, string> HandlerState { get => field ?? Empty.Map; init; }

    /// <summary>CRI's two states.</summary>
    public bool IsReady => Phase == PodPhase.Ready;
}

/// <summary>How far a pod is.</summary>
public enum PodPhase
{
    /// <summary>Being made; not shown to clients. One that is found so at start is cleaned away.</summary>
    Starting,

    Ready,

    /// <summary>Ended, or being ended; its network may still have to be given back.</summary>
    NotReady,
}

/// <summary>A container at one moment: never changes, and is what lies on the disk (<c>ROOT/containers/ID.json</c>).</summary>
public sealed record Container
{
    public required string Id { get; init; }

    public required string PodId { get; init; }

    public required ContainerConfig Config { get; init; }

    /// <summary>The image's ID: <c>sha256:…</c>.</summary>
    public required string ImageId { get; init; }

    /// <summary>The image's first name with a digest, else its ID.</summary>
    public required string ImageRef { get; init; }

    /// <summary>The digest of the image's manifest, by which its files are found.</summary>
    public required string ImageManifest { get; init; }

    public ContainerPhase Phase { get; init; }

    public DateTimeOffset CreatedAt { get; init; }

    public DateTimeOffset? StartedAt { get; init; }

    public DateTimeOffset? FinishedAt { get; init; }

    public int ExitCode { get; init; }

    /// <summary>One word: <c>Completed</c>, <c>Error</c>, <c>OOMKilled</c>, <c>StartError</c>, <c>ContainerStatusUnknown</c>; empty while it runs.</summary>
    public string Reason { get => field ?? ""; init; }

    public string Message { get => field ?? ""; init; }

    /// <summary>In full; empty for no log.</summary>
    public string LogPath { get => field ?? ""; init; }

    /// <summary>Limits as they are now.</summary>
    public LinuxResources Resources { get => field ?? new(); init; }

    /// <summary>Who its first process runs as.</summary>
    public ContainerIdentity User { get => field ?? new(); init; }

    /// <summary>A number; 15 where nothing else was said.</summary>
    public int StopSignal { get; init; }

    /// <summary>The program and its arguments.</summary>
    public IReadOnlyList<string> Command { get => field ?? []; init; }

    /// <summary>The kernel has killed a process of it for want of memory.</summary>
    public bool OutOfMemory { get; init; }

    /// <summary>The handler's own.</summary>
    public IReadOnlyDictionary<string, string> HandlerState { get => field ?? Empty.Map; init; }
}

/// <summary>How far a container is.</summary>
public enum ContainerPhase
{
    /// <summary>Being made; not shown to clients.</summary>
    Creating,

    Created,
    Running,
    Exited,

    /// <summary>Its pod's shim does not answer, so nobody knows.</summary>
    Unknown,
}

/// <summary>User and groups of a process.</summary>
public sealed record ContainerIdentity
{
    public uint Uid { get; init; }

    public uint Gid { get; init; }

    public IReadOnlyList<uint> Groups { get => field ?? []; init; }
}

/// <summary>Which pods; what is null or empty fits all.</summary>
public sealed record PodFilter
{
    /// <summary>An ID, or its beginning.</summary>
    public string Id { get; init; } = "";

    public bool? Ready { get; init; }

    /// <summary>All of them must be there with these values.</summary>
    public IReadOnlyDictionary<string, string> Labels { get; init; } = Empty.Map;
}

/// <summary>Which containers; what is null or empty fits all.</summary>
public sealed record ContainerFilter
{
    /// <summary>An ID, or its beginning.</summary>
    public string Id { get; init; } = "";

    /// <summary>An ID, or its beginning.</summary>
    public string PodId { get; init; } = "";

    public ContainerPhase? Phase { get; init; }

    public IReadOnlyDictionary<string, string> Labels { get; init; } = Empty.Map;
}
