using System.Globalization;
using System.Net.Sockets;
using Hearth.Linux;
using Hearth.Oci.Runtime;
using Hearth.Shim.Protocol;
using Hearth.Ttrpc;

namespace Hearth.Programs.Oci;

/// <summary>
/// Which containers share a machine: those in one network namespace, as the containers of a Podman pod or of
/// <c>--network container:NAME</c> are.
/// </summary>
internal static class PodSharing
{
    private const string Kind = "io.kubernetes.cri.container-type";
    private const string Pod = "io.kubernetes.cri.sandbox-id";

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);

    // Of managers that run pods themselves: a pause container of theirs has a process here, so it is a container like any other.
    private static readonly string[] s_others = ["io.kubernetes.cri-o.ContainerType", "io.kubernetes.cri-o.SandboxID"];

    /// <summary>A container whose machine is in a network namespace; null if there is none.</summary>
    /// <param name="states">Where to look.</param>
    /// <param name="network">The namespace's path.</param>
    /// <exception cref="LinuxException">There is nothing at the path.</exception>
    public static async Task<ContainerState?> FindAsync(StateFolder states, string network)
    {
        ulong wanted = Namespaces.InodeOf(network);
        ContainerState[] all = [.. states.All().Where(state => state.Network == wanted)];
        if (all.FirstOrDefault(HostProcess.IsThere) is { } living)
        {
            return living;
        }

        // CRI-O without an infra container makes the next one before it removes one that has ended, whose machine has the network still.
        foreach (ContainerState ended in all)
        {
            if (await HasMachineAsync(ended))
            {
                return ended;
            }
        }

        return null;
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

        annotations[joins ? Pod : SpecAnnotations.OwnPod] = podId;
        // The stand-in is in the cgroup that the machine's is below.
        annotations[joins ? Kind : SpecAnnotations.LimitsCgroup] = joins ? "container" : "true";

        return spec with { Annotations = annotations };
    }

    private static async Task<bool> HasMachineAsync(ContainerState state)
    {
        try
        {
            await using ShimClient shim = await ShimClient.ConnectAsync(state.Shim);
            return (await shim.StatusAsync().WaitAsync(s_patience)).Ready;
        }
        catch (Exception e) when (e is TtrpcException or SocketException or TimeoutException)
        {
            return false;
        }
    }
}
