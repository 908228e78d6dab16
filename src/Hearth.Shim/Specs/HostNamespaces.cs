using Hearth.Linux;
using Hearth.Oci.Runtime;
using Hearth.Ttrpc;

namespace Hearth.Shim.Specs;

/// <summary>
/// Namespaces of this host's that no container in a machine can be in. The network's is looked at where the machine is made. Source:
/// OCI runtime-spec 1.1, config-linux: a kind that is not listed is the runtime's own, the host's.
/// </summary>
internal static class HostNamespaces
{
    // As managers' users name them.
    private static readonly (string Kind, string Asked)[] s_kinds =
        [("pid", "processes (hostPID, --pid host)"), ("ipc", "IPC (hostIPC, --ipc host)"), ("uts", "hostname (--uts host)")];

    /// <param name="spec">Of a pod, or of a container by itself. One in a pod is in the pod's: its paths name those of the monitor, which are the host's.</param>
    /// <param name="monitor">The process that stands for the pod's containers; 0 before there is one.</param>
    /// <exception cref="TtrpcException">InvalidArgument.</exception>
    public static void Check(RuntimeSpec spec, uint monitor)
    {
        foreach ((string kind, string asked) in s_kinds)
        {
            NamespaceSpec? wanted = spec.Linux?.Namespaces.FirstOrDefault(one => one.Type == kind);
            string path = wanted?.Path ?? "";
            bool isMachines = path.StartsWith($"/proc/{monitor}/", StringComparison.Ordinal);
            if (wanted is null || (path.Length > 0 && !isMachines && Namespaces.IsOwn(path, kind)))
            {
                throw new TtrpcException(
                    StatusCode.InvalidArgument,
                    $"The pod asks for the host's {asked}, which a machine cannot give it: leave that out (linux.namespaces has an entry \"{kind}\"), or use a runtime of processes (hearthd's handler \"oci\", or runc).");
            }

            if (path.StartsWith("/proc/", StringComparison.Ordinal) && !isMachines)
            {
                throw new TtrpcException(
                    StatusCode.InvalidArgument,
                    $"The container is to share the {kind} namespace of {path}, which is not in its machine: containers share one by their network (--network container:NAME, or a pod).");
            }
        }
    }
}
