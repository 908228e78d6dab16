using Hearth.Linux;
using Hearth.Oci.Runtime;

namespace Hearth.Programs.Oci;

/// <summary>Namespaces that a container asks for and a machine cannot be in: this host's, and those of processes in another machine.</summary>
internal static class HostNamespaces
{
    // Of what is left: a mount namespace of the host's has no root of its own, and the host's cgroups are not seen in any.
    private static readonly string[] s_kinds = ["pid", "ipc", "uts"];

    /// <summary>Whether the container is to be in this host's: it is not asked for a new one, or this one is named.</summary>
    /// <param name="spec">The manager's.</param>
    /// <param name="kind">As the specification names it.</param>
    public static bool IsHosts(RuntimeSpec spec, string kind) =>
        Find(spec, kind) is not { } wanted || (wanted.Path is { Length: > 0 } path && (kind == "network" ? Namespaces.IsOwnNetwork(path) : Namespaces.IsOwn(path, kind)));

    /// <exception cref="OciException">It is to be in one of this host's.</exception>
    public static void Check(RuntimeSpec spec)
    {
        if (s_kinds.FirstOrDefault(kind => IsHosts(spec, kind)) is { } hosts)
        {
            throw new OciException(
                $"The container is to be in this host's {hosts} namespace (--{hosts} host), which a microVM cannot be. Leave that out (linux.namespaces needs an entry \"{hosts}\"), or use another runtime for it.");
        }
    }

    /// <param name="spec">The manager's.</param>
    /// <param name="companion">A container that is in its network; null without one.</param>
    /// <exception cref="OciException">It is to see processes that are not in its machine.</exception>
    public static void CheckProcesses(RuntimeSpec spec, ContainerState? companion)
    {
        if (companion is null && Find(spec, "pid")?.Path is { Length: > 0 } path)
        {
            throw new OciException($"The container is to see another's processes ({path}), which is not in its machine: containers share one by their network (--network container:NAME, or a pod).");
        }
    }

    private static NamespaceSpec? Find(RuntimeSpec spec, string kind) => spec.Linux?.Namespaces.FirstOrDefault(one => one.Type == kind);
}
