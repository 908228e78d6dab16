using Hearth.Network.Pods;
using Hearth.Oci.Runtime;
using Hearth.Shim.Protocol.Sandboxes;

namespace Hearth.Shim.Pods;

/// <summary>
/// The files by which a pod's containers read names, and the memory that they share. containerd leaves both to the sandbox service: a
/// container's specification has them only where its CRI finds them on the host. Thread: any.
/// </summary>
internal sealed record PodNames
{
    private const string SharedMemory = "/dev/shm";

    private readonly string _folder;

    private PodNames(string folder) => _folder = folder;

    /// <summary>Writes them below the bundle of the pod, with which they are removed.</summary>
    public static PodNames Write(string bundle, string hostname, PodSandboxConfig config)
    {
        string folder = Path.Combine(bundle, "names");
        Directory.CreateDirectory(folder);
        DNSConfig dns = config.DnsConfig ?? new DNSConfig();
        File.WriteAllText(
            Path.Combine(folder, "resolv.conf"),
            dns.Servers.Count + dns.Searches.Count + dns.Options.Count > 0
                ? NameFiles.ResolvConf(dns.Servers, dns.Searches, dns.Options)
                : NameFiles.HostsResolvConf(inHostNetwork: false));
        File.WriteAllText(Path.Combine(folder, "hosts"), NameFiles.Hosts(hostname, []));
        File.WriteAllText(Path.Combine(folder, "hostname"), hostname + "\n");
        return new PodNames(folder);
    }

    /// <summary>Adds what the specification has nothing else at the place of.</summary>
    public RuntimeSpec MountIn(RuntimeSpec spec)
    {
        string access = spec.Root?.Readonly == true ? "ro" : "rw";
        MountSpec[] files = [.. ((string[])["hostname", "hosts", "resolv.conf"])
            .Select(name => new MountSpec { Destination = $"/etc/{name}", Type = "bind", Source = Path.Combine(_folder, name), Options = ["rbind", "rprivate", access] })
            .Where(file => !spec.Mounts.Any(mount => mount.Destination == file.Destination))];
        // A specification without the pod's has a memory of the container's own there.
        IEnumerable<MountSpec> mounts = spec.Mounts.Select(static mount =>
            mount is { Destination: SharedMemory, Type: "tmpfs" } ? mount with { Type = "bind", Source = SharedMemory, Options = ["rbind", "rw"] } : mount);
        return spec with { Mounts = [.. mounts, .. files] };
    }
}
