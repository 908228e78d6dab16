using Hearth.Oci.Runtime;
using Hearth.Runtime.Handlers;
using Hearth.Runtime.Pods;

namespace Hearth.Runtime.OciPods;

/// <summary>What a host adds to a container's specification: namespaces, cgroup, root, devices.</summary>
internal static class OciSpecs
{
    /// <summary>What specifications say they are: crun before 1.14.3, Debian 12's too, refuses all above 1.1, and nothing of it is asked for.</summary>
    public const string Version = "1.0.2";

    /// <param name="launch">The container.</param>
    /// <param name="pod">Its pod.</param>
    /// <param name="cgroup">The pod's.</param>
    /// <param name="infraPid">The process that holds the pod's namespaces.</param>
    /// <param name="targetPid">That of the container whose PID namespace is asked for; 0 for none.</param>
    /// <param name="volumes">Where images are mounted: destination in the container, folder on the host.</param>
    public static RuntimeSpec Complete(
        ContainerLaunch launch, Pod pod, OciCgroup cgroup, int infraPid, int targetPid, IReadOnlyDictionary<string, string> volumes)
    {
        ContainerConfig config = launch.Container.Config;
        NamespaceOptions shared = pod.Config.Security.Namespaces;
        bool privileged = config.Security.Privileged;
        LinuxSpec linux = launch.Spec.Linux ?? new LinuxSpec();
        ResourcesSpec resources = linux.Resources ?? new ResourcesSpec();
        List<DeviceSpec> devices = privileged ? HostDevices.All() : [];
        var rules = new List<DeviceRuleSpec>(resources.Devices);
        foreach (ContainerDevice device in config.Devices)
        {
            foreach (DeviceSpec node in HostDevices.Of(device.HostPath, device.ContainerPath))
            {
                devices.RemoveAll(other => other.Path == node.Path);
                devices.Add(node);
                rules.Add(new DeviceRuleSpec { Allow = true, Type = node.Type, Major = node.Major, Minor = node.Minor, Access = device.Permissions });
            }
        }

        return launch.Spec with
        {
            OciVersion = Version,
            Root = new RootSpec { Path = new ContainerPaths(launch.Folder).Root, Readonly = launch.Spec.Root?.Readonly ?? false },
            // A name is of a UTS namespace, and the pod's has it; the host's is not to be changed.
            Hostname = null,
            Mounts = [.. launch.Spec.Mounts.Select(mount => MountOf(mount, shared, volumes))],
            Process = launch.Spec.Process! with { ApparmorProfile = Apparmor(config.Security) },
            Linux = linux with
            {
                CgroupsPath = cgroup.Of(launch.Container.Id),
                Namespaces = NamespacesOf(shared, config.Security.Namespaces, privileged, pod.NetworkNamespace, infraPid, targetPid),
                Devices = devices,
                Resources = resources with { Devices = rules },
                // Namespaced ones are set where the namespaces are made.
                Sysctl = null,
                RootfsPropagation = launch.Spec.Mounts.Any(static mount => mount.Options.Contains("rshared")) ? "rshared"
                    : launch.Spec.Mounts.Any(static mount => mount.Options.Contains("rslave")) ? "rslave"
                    : null,
            },
        };
    }

    /// <summary>A loaded AppArmor profile; the runtime's default one is none, as the kernel's confinement is by seccomp and capabilities.</summary>
    private static string? Apparmor(ContainerSecurity security) => security.Apparmor switch
    {
        { Kind: ProfileKind.Localhost } profile => profile.LocalhostRef,
        { Kind: ProfileKind.Unconfined } when Directory.Exists("/sys/kernel/security/apparmor") => "unconfined",
        _ => null,
    };

    private static MountSpec MountOf(MountSpec mount, NamespaceOptions shared, IReadOnlyDictionary<string, string> volumes)
    {
        if (mount.Destination == "/dev/shm" && mount.Type == "bind" && shared.Ipc == NamespaceMode.Node)
        {
            return mount with { Source = "/dev/shm" };
        }

        return volumes.TryGetValue(mount.Destination, out string? folder)
            ? new MountSpec { Destination = mount.Destination, Type = "bind", Source = folder, Options = ["rbind", "rprivate", "ro", "nosuid", "nodev"] }
            : mount;
    }

    private static List<NamespaceSpec> NamespacesOf(NamespaceOptions pod, NamespaceOptions container, bool privileged, string network, int infraPid, int targetPid)
    {
        var namespaces = new List<NamespaceSpec> { new() { Type = "mount" } };
        if (!privileged)
        {
            namespaces.Add(new NamespaceSpec { Type = "cgroup" });
        }

        if (pod.Network != NamespaceMode.Node)
        {
            namespaces.Add(new NamespaceSpec { Type = "network", Path = network });
            namespaces.Add(new NamespaceSpec { Type = "uts", Path = $"/proc/{infraPid}/ns/uts" });
        }

        if (pod.Ipc != NamespaceMode.Node)
        {
            namespaces.Add(new NamespaceSpec { Type = "ipc", Path = $"/proc/{infraPid}/ns/ipc" });
        }

        NamespaceSpec? pid = container.Pid switch
        {
            NamespaceMode.Node => null,
            NamespaceMode.Container => new NamespaceSpec { Type = "pid" },
            NamespaceMode.Target => new NamespaceSpec { Type = "pid", Path = $"/proc/{targetPid}/ns/pid" },
            // A pod of the host's processes has no PID namespace of its own to be shared.
            _ when pod.Pid == NamespaceMode.Node => null,
            _ => new NamespaceSpec { Type = "pid", Path = $"/proc/{infraPid}/ns/pid" },
        };
        if (pid is not null)
        {
            namespaces.Add(pid);
        }

        return namespaces;
    }
}
