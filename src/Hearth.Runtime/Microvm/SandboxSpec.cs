using System.Globalization;
using Hearth.Oci.Runtime;
using Hearth.Runtime.Pods;
using Hearth.Runtime.Specs;
using Hearth.Shim.Protocol;

namespace Hearth.Runtime.Handlers;

/// <summary>The bundle of a pod itself, by which its shim makes the machine. Source: docs/shim-protocol.md.</summary>
internal static class SandboxSpec
{
    private const string Cri = "io.kubernetes.cri.";

    // What is not listed would be the host's.
    private static readonly NamespaceSpec[] s_namespaces = [new() { Type = "pid" }, new() { Type = "ipc" }, new() { Type = "uts" }];

    public static RuntimeSpec Of(Pod pod)
    {
        PodConfig config = pod.Config;
        Dictionary<string, string> annotations = Names(pod, "sandbox");
        foreach (string name in new[] { SpecAnnotations.Vcpus, SpecAnnotations.MemoryMib })
        {
            if (config.Annotations.TryGetValue(name, out string? value))
            {
                annotations[name] = value;
            }
        }

        LinuxResources resources = config.Resources ?? new LinuxResources();
        // The RuntimeClass's overhead is of the host, and the machine's own is the shim's to add; only what the pod is to use counts here.
        Set(annotations, "sandbox-cpu-quota", resources.CpuQuota);
        Set(annotations, "sandbox-cpu-period", resources.CpuPeriod);
        Set(annotations, "sandbox-cpu-shares", resources.CpuShares);
        Set(annotations, "sandbox-memory", resources.MemoryBytes);
        return new RuntimeSpec
        {
            Process = new ProcessSpec { Args = ["/pause"], Cwd = "/" },
            Root = new RootSpec { Path = "rootfs", Readonly = true },
            Hostname = SpecBuilder.HostnameOf(config),
            Linux = new LinuxSpec
            {
                Namespaces = pod.NetworkNamespace.Length == 0 ? s_namespaces : [.. s_namespaces, new NamespaceSpec { Type = "network", Path = pod.NetworkNamespace }],
                CgroupsPath = config.CgroupParent.Length == 0 ? null
                    : config.CgroupParent.EndsWith(".slice", StringComparison.Ordinal) ? $"{Path.GetFileName(config.CgroupParent)}:hearth:{pod.Id}"
                    : $"{config.CgroupParent.TrimEnd('/')}/{pod.Id}",
                Sysctl = config.Sysctls.Count == 0 ? null : config.Sysctls,
            },
            Annotations = annotations,
        };
    }

    /// <summary>What tells the shim which pod a bundle belongs to, and people whose it is.</summary>
    public static Dictionary<string, string> Names(Pod pod, string kind) => new()
    {
        [Cri + "container-type"] = kind,
        [Cri + "sandbox-id"] = pod.Id,
        [Cri + "sandbox-namespace"] = pod.Config.Metadata.Namespace,
        [Cri + "sandbox-name"] = pod.Config.Metadata.Name,
        [Cri + "sandbox-uid"] = pod.Config.Metadata.Uid,
    };

    private static void Set(Dictionary<string, string> annotations, string name, long value)
    {
        if (value != 0)
        {
            annotations[Cri + name] = value.ToString(CultureInfo.InvariantCulture);
        }
    }
}
