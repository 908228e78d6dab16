using Hearth.Linux;
using Hearth.Oci.Runtime;
using Hearth.Runtime.Pods;

namespace Hearth.Runtime.OciPods;

/// <summary>Device nodes of the host, as containers are given them.</summary>
internal static class HostDevices
{
    private const string Root = "/dev";

    // Each container has its own.
    private static readonly string[] s_own = ["/dev/pts", "/dev/shm", "/dev/fd", "/dev/mqueue", "/dev/console", "/dev/.lxc", "/dev/.udev", "/dev/ptmx"];

    /// <summary>All of them, for a privileged container.</summary>
    public static List<DeviceSpec> All() => [.. Below(Root, Root)];

    /// <summary>A device, or those in a folder.</summary>
    /// <exception cref="PodException">InvalidArgument: there is none.</exception>
    public static IReadOnlyList<DeviceSpec> Of(string hostPath, string containerPath)
    {
        string target = containerPath.Length == 0 ? hostPath : containerPath;
        string real = Path.Exists(hostPath) ? File.ResolveLinkTarget(hostPath, returnFinalTarget: true)?.FullName ?? hostPath : hostPath;
        IReadOnlyList<DeviceSpec> found = Directory.Exists(real) ? [.. Below(real, target)] : NodeOf(real, target) is { } node ? [node] : [];
        return found.Count > 0 ? found : throw new PodException(PodFault.InvalidArgument, $"There is no device {hostPath} on this host.");
    }

    private static IEnumerable<DeviceSpec> Below(string folder, string target)
    {
        foreach (FileSystemInfo entry in new DirectoryInfo(folder).EnumerateFileSystemInfos())
        {
            string inside = $"{target.TrimEnd('/')}/{entry.Name}";
            if (entry.LinkTarget is not null || s_own.Contains(entry.FullName))
            {
                continue;
            }

            if (entry is DirectoryInfo)
            {
                foreach (DeviceSpec node in Below(entry.FullName, inside))
                {
                    yield return node;
                }
            }
            else if (NodeOf(entry.FullName, inside) is { } node)
            {
                yield return node;
            }
        }
    }

    private static DeviceSpec? NodeOf(string path, string target) => DeviceNode.TryRead(path) is { } node
        ? new DeviceSpec
        {
            Type = node.IsBlock ? "b" : "c",
            Path = target,
            Major = node.Major,
            Minor = node.Minor,
            FileMode = node.Permissions,
            Uid = node.Owner,
            Gid = node.Group,
        }
        : null;
}
