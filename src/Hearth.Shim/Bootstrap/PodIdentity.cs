using Hearth.Linux;
using Hearth.Oci.Runtime;
using Hearth.Shim.Protocol;

namespace Hearth.Shim.Bootstrap;

/// <summary>What a bundle is to its pod.</summary>
public enum BundleKind
{
    /// <summary>A pod without a sandbox: its machine is made for this container, and is there until the last of those that join it has gone.</summary>
    Alone,

    /// <summary>The pod itself: a machine in which nothing runs yet.</summary>
    Sandbox,

    /// <summary>A container in a pod that is there.</summary>
    Member,
}

/// <summary>Which pod a bundle belongs to: by its annotations, or as it was chosen for it (<see cref="PodChoice"/>).</summary>
/// <param name="Kind">What it is there.</param>
/// <param name="PodId">The pod's id.</param>
public sealed record PodIdentity(BundleKind Kind, string PodId)
{
    // In the bundle, beside config.json, which is the manager's.
    private const string FileName = "hearth-pod";

    // containerd's, and CRI-O's.
    private static readonly (string Kind, string Pod)[] s_annotations =
    [
        ("io.kubernetes.cri.container-type", "io.kubernetes.cri.sandbox-id"),
        ("io.kubernetes.cri-o.ContainerType", "io.kubernetes.cri-o.SandboxID"),
    ];

    /// <param name="spec">The bundle's specification.</param>
    /// <param name="containerId">Whose it is.</param>
    /// <param name="bundle">Its folder.</param>
    /// <exception cref="HearthException">The annotations contradict themselves.</exception>
    public static PodIdentity Of(RuntimeSpec spec, string containerId, string bundle) =>
        OfAnnotations(spec, containerId) ?? Chosen(bundle) ?? new PodIdentity(BundleKind.Alone, containerId);

    /// <summary>What the annotations say; null if nothing.</summary>
    public static PodIdentity? OfAnnotations(RuntimeSpec spec, string containerId)
    {
        foreach ((string kindName, string podName) in s_annotations)
        {
            if (spec.Annotations?.GetValueOrDefault(kindName) is not { } kind)
            {
                continue;
            }

            string pod = spec.Annotations.GetValueOrDefault(podName) ?? "";
            return kind switch
            {
                "sandbox" => new PodIdentity(BundleKind.Sandbox, pod.Length == 0 ? containerId : pod),
                "container" when pod.Length > 0 => new PodIdentity(BundleKind.Member, pod),
                "container" => throw new HearthException($"The container \"{containerId}\" is in a pod that it does not name: the annotation {podName} is missing."),
                _ => throw new HearthException($"The annotation {kindName} is \"{kind}\": it is \"sandbox\" or \"container\"."),
            };
        }

        return spec.Annotations?.GetValueOrDefault(SpecAnnotations.OwnPod) is { Length: > 0 } own ? new PodIdentity(BundleKind.Alone, own) : null;
    }

    /// <summary>Writes it into a bundle, for whoever has to know it later.</summary>
    public void Choose(string bundle) => File.WriteAllText(Path.Combine(bundle, FileName), $"{Kind} {PodId}");

    /// <summary>What was written there; null if nothing.</summary>
    public static PodIdentity? Chosen(string bundle)
    {
        string file = Path.Combine(bundle, FileName);
        return File.Exists(file) && File.ReadAllText(file).Split(' ', 2) is [var kind, var pod] && Enum.TryParse(kind, out BundleKind parsed) ? new PodIdentity(parsed, pod) : null;
    }
}
