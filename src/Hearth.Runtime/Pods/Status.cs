namespace Hearth.Runtime.Pods;

/// <summary>What happened to a container, or to a pod (then <see cref="PodChange.Container"/> is null and the id is the pod's).</summary>
public enum ChangeKind
{
    Created,
    Started,
    Stopped,
    Deleted,
}

/// <summary>Something that happened, with everything about the pod as it was right after.</summary>
/// <param name="Kind">What.</param>
/// <param name="Id">The container's id, or the pod's for what happened to the pod itself: CRI's container_id.</param>
/// <param name="At">When.</param>
/// <param name="Pod">The pod; null once it is removed.</param>
/// <param name="Container">The container; null for what happened to the pod itself.</param>
/// <param name="Containers">All of the pod's.</param>
public sealed record PodChange(
    ChangeKind Kind, string Id, DateTimeOffset At, Pod? Pod, Container? Container, IReadOnlyList<Container> Containers);

/// <summary>Whether pods can be run.</summary>
public sealed record RuntimeStatus
{
    public required bool Ready { get; init; }

    /// <summary>Why not; one word, and a sentence.</summary>
    public string Reason { get; init; } = "";

    public string Message { get; init; } = "";

    public required bool NetworkReady { get; init; }

    public string NetworkReason { get; init; } = "";

    public string NetworkMessage { get; init; } = "";

    public required IReadOnlyList<HandlerStatus> Handlers { get; init; }
}

/// <summary>A runtime handler.</summary>
/// <param name="Name">As pods name it; the default is listed under the empty name too.</param>
/// <param name="RecursiveReadonlyMounts">Whether it can make a mount read-only with all below it.</param>
/// <param name="UserNamespaces">Whether it gives pods user namespaces.</param>
/// <param name="Problem">What is missing on this host to run its pods; empty for nothing.</param>
public sealed record HandlerStatus(string Name, bool RecursiveReadonlyMounts, bool UserNamespaces, string Problem);
