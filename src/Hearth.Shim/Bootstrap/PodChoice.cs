using System.Globalization;
using System.Net.Sockets;
using Hearth.Linux;
using Hearth.Shim.Machine;
using Hearth.Shim.Protocol;
using Hearth.Ttrpc;

namespace Hearth.Shim.Bootstrap;

/// <summary>
/// Which pod a container is in whose manager has none, and lets containers share a network all the same (Docker's
/// <c>--network container:NAME</c>): those in one network namespace are in one machine.
/// </summary>
internal static class PodChoice
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);

    /// <param name="containerId">The container.</param>
    /// <param name="network">The path of its network namespace; null or empty for one of its own.</param>
    /// <param name="pathsOf">Where the shim of a pod of the same manager is, by the pod's id.</param>
    public static PodIdentity Of(string containerId, string? network, Func<string, ShimPaths> pathsOf)
    {
        if (!string.IsNullOrEmpty(network) && FindIn(network, Path.GetDirectoryName(pathsOf(containerId).Folder)!, pathsOf) is { } pod)
        {
            return new PodIdentity(BundleKind.Member, pod);
        }

        // A container that has ended and starts again: its pod may go on for those that joined it.
        string free = containerId;
        for (int i = 2; GoesOnForOthers(pathsOf(free).Socket, containerId); i++)
        {
            free = string.Create(CultureInfo.InvariantCulture, $"{containerId}-{i}");
        }

        return new PodIdentity(BundleKind.Alone, free);
    }

    private static string? FindIn(string network, string pods, Func<string, ShimPaths> pathsOf)
    {
        try
        {
            ulong inode = Namespaces.InodeOf(network);
            foreach (string folder in Directory.EnumerateDirectories(pods))
            {
                // Of another manager's pod the folder has another name.
                if (MachineRecord.TryRead(PodFolder.RecordIn(folder)) is { PodId: { } pod } record && record.NetworkInode == inode
                    && pathsOf(pod) is var paths && paths.Folder == folder && ShimLaunch.IsServed(paths.Socket))
                {
                    return pod;
                }
            }
        }
        catch (Exception e) when (e is LinuxException or IOException)
        {
            // There is no such namespace, which is said when the pod is made; or no pod, or the last one is just going.
        }

        return null;
    }

    private static bool GoesOnForOthers(string socket, string containerId)
    {
        if (!ShimLaunch.IsServed(socket))
        {
            return false;
        }

        try
        {
            return Task.Run(async () =>
            {
                await using ShimClient shim = await ShimClient.ConnectAsync(socket).ConfigureAwait(false);
                PodStatus status = await shim.StatusAsync().WaitAsync(s_patience).ConfigureAwait(false);
                return status.Containers.Count > 0 && !status.Containers.Any(one => one.ContainerId == containerId);
            }).GetAwaiter().GetResult();
        }
        catch (Exception e) when (e is TtrpcException or SocketException or TimeoutException)
        {
            // It is on its way out.
            return false;
        }
    }
}
