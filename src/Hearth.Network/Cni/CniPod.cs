using Hearth.Linux;

namespace Hearth.Network.Cni;

/// <summary>A pod that is attached to the network.</summary>
public sealed record CniPod
{
    /// <summary>CNI_CONTAINERID: the pod's id.</summary>
    public required string Id { get; init; }

    /// <summary>The file of its network namespace.</summary>
    public required string NamespacePath { get; init; }

    /// <summary>Kubernetes' names; empty for a pod that has none.</summary>
    public string Namespace { get; init; } = "";

    public string Name { get; init; } = "";

    public string Uid { get; init; } = "";

    public string Interface { get; init; } = "eth0";

    public CniCapabilities Capabilities { get; init; } = new();

    /// <summary>CNI_ARGS, as every Kubernetes runtime gives them.</summary>
    internal string Arguments => string.Join(';', new[]
    {
        ("IgnoreUnknown", "1"), ("K8S_POD_NAMESPACE", Namespace), ("K8S_POD_NAME", Name), ("K8S_POD_INFRA_CONTAINER_ID", Id), ("K8S_POD_UID", Uid),
    }.Select(static pair => $"{pair.Item1}={pair.Item2}"));

    internal void Check()
    {
        if (!CniNames.IsName(Id))
        {
            throw new HearthException($"The pod's id \"{Id}\" cannot be given to CNI: letters, digits, '.', '_' and '-' are allowed.");
        }

        if (!CniNames.IsInterface(Interface))
        {
            throw new HearthException($"\"{Interface}\" cannot be an interface's name.");
        }

        foreach (string text in new[] { Namespace, Name, Uid })
        {
            if (text.AsSpan().ContainsAny(';', '=', '\0'))
            {
                throw new HearthException($"\"{text}\" of pod {Id} cannot be given to CNI: it has a ';' or '='.");
            }
        }
    }
}

/// <summary>How attachments are made.</summary>
public sealed record CniOptions
{
    /// <summary>Where plugins are looked for, in this order.</summary>
    public IReadOnlyList<string> PluginFolders { get; init; } = ["/opt/cni/bin", "/usr/lib/cni"];

    /// <summary>Where the pods' network is configured.</summary>
    public string ConfFolder { get; init; } = "/etc/cni/net.d";

    /// <summary>Where attachments are remembered. On a disk: what plugins keep outlives a reboot, and is given back by this.</summary>
    public required string CacheFolder { get; init; }

    /// <summary>The network where <see cref="ConfFolder"/> has none; null for no network then.</summary>
    public DefaultNetwork? Default { get; init; } = new();

    /// <summary>How long one plugin may take for one command.</summary>
    public TimeSpan TimeLimit { get; init; } = TimeSpan.FromSeconds(90);
}
