using System.Globalization;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Oci.Runtime;

namespace Hearth.Programs.Oci;

/// <summary>
/// Which containers share a machine: those in one network namespace, as the containers of a Podman pod or of
/// <c>--network container:NAME</c> are.
/// </summary>
internal static class PodSharing
{
    private const string Kind = "io.kubernetes.cri.container-type";
    private const string Pod = "io.kubernetes.cri.sandbox-id";
    private const string OwnPod = "io.hearth.pod-id";

    // Of managers that run pods themselves: a pause container of theirs has a process here, so it is a container like any other.
    private static readonly string[] s_others = ["io.kubernetes.cri-o.ContainerType", "io.kubernetes.cri-o.SandboxID"];

    /// <summary>A container that lives in a network namespace; null if there is none.</summary>
    /// <param name="states">Where to look.</param>
    /// <param name="network">The namespace's path.</param>
    /// <exception cref="LinuxException">There is nothing at the path.</exception>
    public static ContainerState? Find(StateFolder states, string network)
    {
        ulong wanted = NamespaceOf(network);
        return states.All().FirstOrDefault(state => HostProcess.IsThere(state) && IsIn(state, wanted));
    }

    /// <summary>An id for a container's own pod: the container's, unless a pod that was another's of that id goes on for those that joined it.</summary>
    public static string NewPodId(StateFolder states, string id)
    {
        HashSet<string> taken = [.. states.All().Select(static state => state.PodId)];
        string free = id;
        for (int i = 2; taken.Contains(free); i++)
        {
            free = string.Create(CultureInfo.InvariantCulture, $"{id}-{i}");
        }

        return free;
    }

    /// <summary>A specification as the shim reads whose pod it is in.</summary>
    /// <param name="spec">The manager's.</param>
    /// <param name="podId">Of the pod.</param>
    /// <param name="joins">The pod is there already.</param>
    public static RuntimeSpec Describe(RuntimeSpec spec, string podId, bool joins)
    {
        Dictionary<string, string> annotations = new(spec.Annotations ?? new Dictionary<string, string>());
        foreach (string name in s_others.Append(Kind).Append(Pod))
        {
            annotations.Remove(name);
        }

        annotations[joins ? Pod : OwnPod] = podId;
        if (joins)
        {
            annotations[Kind] = "container";
        }

        return spec with { Annotations = annotations };
    }

    private static bool IsIn(ContainerState state, ulong wanted)
    {
        try
        {
            return NamespaceOf($"/proc/{state.Pid}/ns/net") == wanted;
        }
        catch (LinuxException)
        {
            // It has ended meanwhile.
            return false;
        }
    }

    private static ulong NamespaceOf(string path)
    {
        using FileDescriptor space = FileDescriptor.Open(path, Fcntl.O_RDONLY);
        return FileStatus.Of(space).Inode;
    }
}
