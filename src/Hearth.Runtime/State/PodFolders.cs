using Hearth.Linux;
using Hearth.Network.Pods;
using Hearth.Runtime.Handlers;
using Hearth.Runtime.Pods;
using Hearth.Runtime.Specs;

namespace Hearth.Runtime.State;

/// <summary>
/// A pod's folder, <c>STATE/bundles/ID</c> (<c>STATE/pods</c> is the shims'): its bundle, its name files, and <c>containers/ID</c> for each container's bundle.
/// </summary>
internal static class PodFolders
{
    /// <summary>Of the folder below the state folder.</summary>
    public const string Name = "bundles";

    /// <summary>The specification in a bundle.</summary>
    public const string SpecFile = "config.json";

    public static PodFiles FilesOf(string folder) => new(Path.Combine(folder, "resolv.conf"), Path.Combine(folder, "hosts"), Path.Combine(folder, "hostname"));

    /// <summary>What is mounted at the containers' /dev/shm where the handler has no other.</summary>
    public static string ShmOf(string folder) => Path.Combine(folder, "shm");

    /// <summary>Makes the folder with what can be known before the network is there.</summary>
    public static void Make(PodLaunch launch, PodConfig config)
    {
        Directory.CreateDirectory(launch.Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        File.WriteAllText(launch.Files.ResolvConf, ResolvConf(config));
        File.WriteAllText(launch.Files.Hostname, SpecBuilder.HostnameOf(config) + "\n");
    }

    /// <summary>Writes the pod's own name with its addresses; in the host's network, the host's file.</summary>
    public static void WriteHosts(PodFiles files, PodConfig config, IReadOnlyList<string> ips) =>
        File.WriteAllText(files.Hosts, Hosts(config, ips));

    /// <summary>Where a container's log goes; empty for nowhere.</summary>
    public static string LogPath(PodConfig pod, ContainerConfig container)
    {
        if (pod.LogDirectory.Length == 0 || container.LogPath.Length == 0)
        {
            return "";
        }

        string path = Path.GetFullPath(Path.Join(pod.LogDirectory, container.LogPath));
        return pod.LogDirectory.StartsWith('/') && path.StartsWith(Path.GetFullPath(pod.LogDirectory).TrimEnd('/') + "/", StringComparison.Ordinal)
            ? path
            : throw new PodException(PodFault.InvalidArgument, $"The log \"{container.LogPath}\" is not below the pod's log directory \"{pod.LogDirectory}\", or that is no absolute path.");
    }

    /// <summary>Removes a folder with what is in it, and what is still mounted there. One that is not there is no error.</summary>
    public static Task RemoveAsync(string folder)
    {
        if (Directory.Exists(folder))
        {
            // Never through a mount: what is mounted below is someone's volume.
            foreach (string mount in Mounts.Below(folder))
            {
                Mounts.Detach(mount);
            }

            Directory.Delete(folder, recursive: true);
        }

        return Task.CompletedTask;
    }

    internal static string ResolvConf(PodConfig config) => config.Dns is { } dns && dns.Servers.Count + dns.Searches.Count + dns.Options.Count > 0
        ? NameFiles.ResolvConf(dns.Servers, dns.Searches, dns.Options)
        : NameFiles.HostsResolvConf(config.Security.Namespaces.Network == NamespaceMode.Node);

    internal static string Hosts(PodConfig config, IReadOnlyList<string> ips) =>
        config.Security.Namespaces.Network == NamespaceMode.Node && NameFiles.ReadIfThere("/etc/hosts") is { Length: > 0 } host
            ? host
            : NameFiles.Hosts(SpecBuilder.HostnameOf(config), ips);
}
