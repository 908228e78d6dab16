using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Oci.Runtime;

namespace Hearth.Programs.Oci;

/// <summary>Namespaces that a container asks for and a machine cannot be in: this host's, and those of containers in another machine.</summary>
internal static class HostNamespaces
{
    // Of what is left: a mount namespace of the host's has no root of its own, and the host's cgroups are not seen in any.
    private static readonly string[] s_kinds = ["pid", "ipc", "uts"];

    private static readonly Dictionary<string, int> s_flags = new(StringComparer.Ordinal)
    {
        ["pid"] = Sched.CLONE_NEWPID,
        ["ipc"] = Sched.CLONE_NEWIPC,
        ["uts"] = Sched.CLONE_NEWUTS,
        ["network"] = Sched.CLONE_NEWNET,
        ["mount"] = Sched.CLONE_NEWNS,
        ["cgroup"] = Sched.CLONE_NEWCGROUP,
    };

    /// <exception cref="OciException">It is to be in this host's network.</exception>
    public static void CheckNetwork(RuntimeSpec spec)
    {
        // Docker names the host's by a file of its own.
        if (Find(spec, "network") is not { } wanted || (wanted.Path is { Length: > 0 } path && Namespaces.IsOwnNetwork(path)))
        {
            throw new OciException("The container is to be in this host's network, which a microVM cannot be. Give it a network of its own (--network bridge or none), or use another runtime for it.");
        }
    }

    /// <param name="spec">The manager's.</param>
    /// <param name="states">All containers: a process that stands for one has this host's namespaces, and means those of its machine.</param>
    /// <param name="companion">A container whose network it is in, and so its machine; null without one.</param>
    /// <exception cref="OciException">It is to be in a namespace of this host's, or of another machine's.</exception>
    public static void Check(RuntimeSpec spec, StateFolder states, ContainerState? companion)
    {
        foreach (string kind in s_kinds)
        {
            NamespaceSpec? wanted = Find(spec, kind);
            string path = wanted?.Path ?? "";
            if (path.Length > 0 && states.All().FirstOrDefault(state => path.StartsWith($"/proc/{state.Pid}/", StringComparison.Ordinal)) is { } other)
            {
                if (other.PodId != companion?.PodId)
                {
                    throw Elsewhere($"the container {other.Id}");
                }
            }
            else if (wanted is null || (path.Length > 0 && Namespaces.IsOwn(path, kind)))
            {
                throw new OciException(
                    $"The container is to be in this host's {kind} namespace (--{kind} host), which a microVM cannot be. Leave that out (linux.namespaces needs an entry \"{kind}\"), or use another runtime for it.");
            }
            else if (kind == "pid" && path.Length > 0 && companion is null)
            {
                throw Elsewhere(path);
            }

            OciException Elsewhere(string whose) =>
                new($"The container is to share the {kind} namespace of {whose}, which is not in its machine: containers share one by their network (--network container:NAME, or a pod).");
        }
    }

    /// <exception cref="OciException">A path is of no namespace, or of another kind's.</exception>
    public static void CheckPaths(RuntimeSpec spec)
    {
        foreach (NamespaceSpec wanted in spec.Linux?.Namespaces ?? [])
        {
            if (wanted.Path is { Length: > 0 } path && s_flags.TryGetValue(wanted.Type, out int flag) && Namespaces.KindOf(path) is { } kind && kind != flag)
            {
                throw new OciException($"{path} (linux.namespaces) is no namespace of the kind {wanted.Type}.");
            }
        }
    }

    private static NamespaceSpec? Find(RuntimeSpec spec, string kind) => spec.Linux?.Namespaces.FirstOrDefault(one => one.Type == kind);
}
