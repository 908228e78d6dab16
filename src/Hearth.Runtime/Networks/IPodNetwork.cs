using Hearth.Runtime.Pods;

namespace Hearth.Runtime.Networks;

/// <summary>What pods' networks come from. Failures are <see cref="PodException"/>s. Thread: any.</summary>
internal interface IPodNetwork
{
    /// <summary>Why no pod can be attached now; null if one can.</summary>
    Task<string?> ProblemAsync(CancellationToken cancellation);

    /// <summary>Makes a namespace for a pod; its path. One that is there already is taken away first.</summary>
    string CreateNamespace(string podId);

    /// <summary>Attaches a pod; a failure leaves nothing but the namespace.</summary>
    /// <returns>The pod's addresses, the first the one that is told first.</returns>
    Task<IReadOnlyList<string>> AttachAsync(Pod pod, CancellationToken cancellation);

    /// <summary>Gives back everything, the namespace with it. Doing it twice is no error.</summary>
    Task DetachAsync(string podId, CancellationToken cancellation);

    /// <summary>Gives back what pods have that are no more: attachments and namespaces.</summary>
    Task CollectAsync(IReadOnlySet<string> livePods, Action<string> log, CancellationToken cancellation);

    /// <summary>The address range of this node's pods, one of each family, with a comma between: where the network is Hearth's own default.</summary>
    /// <exception cref="PodException">InvalidArgument: it is no range.</exception>
    void SetPodCidr(string cidr);
}
