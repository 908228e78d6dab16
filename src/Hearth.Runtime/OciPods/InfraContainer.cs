using System.Globalization;
using Hearth.Oci.Runtime;
using Hearth.Runtime.Pods;
using Hearth.Runtime.Specs;

namespace Hearth.Runtime.OciPods;

/// <summary>
/// The container that holds a pod's namespaces: a process that sleeps, without rights, in a root that has nothing but the
/// host's programs, read-only. As process 1 of a pod whose containers share one PID namespace it leaves no zombies.
/// </summary>
internal static class InfraContainer
{
    // What containers see of it where they share its PID namespace: not the name of a program that they may look for, or kill.
    private const string Pause = "pause";
    private const uint Nobody = 65534;
    private const int LowScore = -998;
    private const ulong SysResource = 1UL << 24; // CAP_SYS_RESOURCE

    /// <summary>Writes its bundle.</summary>
    public static void WriteBundle(OciPaths paths, OciCgroup cgroup, Pod pod)
    {
        string root = Path.Combine(paths.Infra, "rootfs");
        Directory.CreateDirectory(root);
        var mounts = new List<MountSpec>
        {
            new() { Destination = "/proc", Type = "proc", Source = "proc", Options = ["nosuid", "noexec", "nodev"] },
            new() { Destination = "/dev", Type = "tmpfs", Source = "tmpfs", Options = ["nosuid", "noexec", "mode=755", "size=64k"] },
        };
        // On a merged system all but /usr are links into it.
        foreach (string name in new[] { "usr", "bin", "lib", "lib64" })
        {
            string host = "/" + name;
            if (new DirectoryInfo(host).LinkTarget is { } target)
            {
                File.CreateSymbolicLink(Path.Combine(root, name), target.TrimStart('/'));
            }
            else if (Directory.Exists(host))
            {
                Directory.CreateDirectory(Path.Combine(root, name));
                mounts.Add(new MountSpec { Destination = host, Type = "bind", Source = host, Options = ["rbind", "ro", "nosuid", "nodev"] });
            }
        }

        File.CreateSymbolicLink(Path.Combine(root, Pause), File.Exists("/usr/bin/sleep") ? "usr/bin/sleep" : "bin/sleep");
        NamespaceOptions namespaces = pod.Config.Security.Namespaces;
        bool ownNetwork = namespaces.Network != NamespaceMode.Node;
        var spec = new RuntimeSpec
        {
            OciVersion = OciSpecs.Version,
            Process = new ProcessSpec
            {
                User = new UserSpec { Uid = Nobody, Gid = Nobody },
                // Ignored SIGCHLD, which sleep keeps: the kernel itself takes children away.
                Args = ["/usr/bin/env", "--ignore-signal=CHLD", "/" + Pause, "infinity"],
                Env = ["PATH=/usr/bin:/bin"],
                Capabilities = new CapabilitiesSpec(),
                NoNewPrivileges = true,
                OomScoreAdj = OomScore(),
            },
            Root = new RootSpec { Path = "rootfs", Readonly = true },
            Hostname = ownNetwork ? SpecBuilder.HostnameOf(pod.Config) : null,
            Mounts = mounts,
            Linux = new LinuxSpec
            {
                CgroupsPath = cgroup.InfraPath,
                Namespaces = NamespacesOf(namespaces, pod.NetworkNamespace),
                Resources = new ResourcesSpec { Devices = [new DeviceRuleSpec { Allow = false, Access = "rwm" }] },
                Sysctl = pod.Config.Sysctls.Count == 0 ? null : pod.Config.Sysctls,
            },
        };
        File.WriteAllBytes(Path.Combine(paths.Infra, "config.json"), spec.ToJson());
    }

    private static List<NamespaceSpec> NamespacesOf(NamespaceOptions options, string network)
    {
        var namespaces = new List<NamespaceSpec> { new() { Type = "mount" }, new() { Type = "cgroup" } };
        if (options.Network != NamespaceMode.Node)
        {
            // The host's name goes with the host's network.
            namespaces.Add(new NamespaceSpec { Type = "network", Path = network });
            namespaces.Add(new NamespaceSpec { Type = "uts" });
        }

        if (options.Ipc != NamespaceMode.Node)
        {
            namespaces.Add(new NamespaceSpec { Type = "ipc" });
        }

        if (options.Pid != NamespaceMode.Node)
        {
            namespaces.Add(new NamespaceSpec { Type = "pid" });
        }

        return namespaces;
    }

    // -998 as every Kubernetes runtime has it; the daemon's own where it may not go lower.
    private static int OomScore()
    {
        try
        {
            string own = File.ReadAllText("/proc/self/oom_score_adj");
            string capabilities = File.ReadAllLines("/proc/self/status").First(static line => line.StartsWith("CapEff:", StringComparison.Ordinal))[7..];
            bool mayLower = (ulong.Parse(capabilities, NumberStyles.AllowHexSpecifier | NumberStyles.AllowLeadingWhite, CultureInfo.InvariantCulture) & SysResource) != 0;
            return mayLower ? LowScore : Math.Max(LowScore, int.Parse(own, CultureInfo.InvariantCulture));
        }
        catch (Exception e) when (e is IOException or FormatException)
        {
            return 0;
        }
    }
}
