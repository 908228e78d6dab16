using Google.Protobuf;
using Hearth.Oci.Runtime;
using Hearth.Shim.Pods;
using Hearth.Shim.Protocol;
using Hearth.Shim.Protocol.Sandboxes;
using Hearth.Ttrpc;

namespace Hearth.Shim.Specs;

/// <summary>The specification of a pod that the sandbox service is to make: what CRI says of it, in the words of a bundle.</summary>
internal static class SandboxSpec
{
    private const string Cri = "io.kubernetes.cri.";

    // Linux has 64 bytes for a name, with its end.
    private const int LongestName = 63;

    // Of what a pod's author may say, what is the machine's.
    private static readonly string[] s_annotations = [SpecAnnotations.Vcpus, SpecAnnotations.MemoryMib];

    /// <summary>The request's options.</summary>
    /// <returns>Null if there are none.</returns>
    /// <exception cref="TtrpcException">InvalidArgument: they are something else, or ask for what a machine cannot give.</exception>
    public static PodSandboxConfig? ConfigOf(CreateSandboxRequest request)
    {
        if (request.Options is not { } options || options.TypeUrl.Length == 0)
        {
            return null;
        }

        if (options.TypeUrl[(options.TypeUrl.LastIndexOf('/') + 1)..] != PodSandboxConfig.Descriptor.FullName)
        {
            throw Invalid($"A pod's options are {PodSandboxConfig.Descriptor.FullName}; these are \"{options.TypeUrl}\".");
        }

        try
        {
            PodSandboxConfig config = PodSandboxConfig.Parser.ParseFrom(options.Value);
            Check(config);
            return config;
        }
        catch (InvalidProtocolBufferException e)
        {
            throw Invalid($"The pod's options are none: {e.Message}");
        }
    }

    /// <param name="request">Whose fields hold over what the bundle says.</param>
    /// <param name="config">As <see cref="ConfigOf"/> read it.</param>
    /// <exception cref="TtrpcException">InvalidArgument: a field is not what it should be.</exception>
    public static RuntimeSpec Of(CreateSandboxRequest request, PodSandboxConfig? config)
    {
        if (!Path.IsPathRooted(request.BundlePath) || !Directory.Exists(request.BundlePath))
        {
            throw Invalid($"The pod's bundle \"{request.BundlePath}\" is no folder.");
        }

        if (request.Rootfs.Count > 0)
        {
            throw Invalid("The pod has a root file system, which nothing in it would use: its machine boots of its own, and each container brings one.");
        }

        if (request.NetnsPath.Length > 0 && !Path.IsPathRooted(request.NetnsPath))
        {
            throw Invalid($"The pod's network namespace \"{request.NetnsPath}\" is no absolute path.");
        }

        RuntimeSpec spec = File.Exists(ContainerCreation.SpecPath(request.BundlePath)) ? ContainerCreation.ReadSpec(request.BundlePath) : new RuntimeSpec();
        LinuxSpec linux = spec.Linux ?? new LinuxSpec();
        if (config?.Linux is { } wanted)
        {
            linux = linux with
            {
                CgroupsPath = CgroupOf(wanted.CgroupParent, request.SandboxId) ?? linux.CgroupsPath,
                Sysctl = wanted.Sysctls.Count > 0 ? wanted.Sysctls : linux.Sysctl,
                Resources = wanted.Resources is { } resources ? ResourcesOf(resources) : linux.Resources,
            };
        }

        NamespaceOption options = config?.Linux?.SecurityContext?.NamespaceOptions ?? new NamespaceOption();
        return spec with
        {
            Hostname = config is null ? spec.Hostname : HostnameOf(config),
            Annotations = Annotations(request, spec, config),
            Linux = linux with { Namespaces = [.. Namespaces(options, request.NetnsPath)] },
        };
    }

    /// <summary>The pod's name for itself.</summary>
    public static string HostnameOf(PodSandboxConfig config)
    {
        string name = config.Hostname.Length > 0 ? config.Hostname : config.Metadata?.Name ?? "";
        return name.Length <= LongestName ? name : name[..LongestName].TrimEnd('-', '.');
    }

    // What is not listed is the host's, which is refused later.
    private static IEnumerable<NamespaceSpec> Namespaces(NamespaceOption options, string network)
    {
        if (options.Network != NamespaceMode.Node)
        {
            // Without a path: a pod without a network.
            yield return new NamespaceSpec { Type = "network", Path = network.Length > 0 ? network : null };
        }

        if (options.Pid != NamespaceMode.Node)
        {
            yield return new NamespaceSpec { Type = "pid" };
        }

        if (options.Ipc != NamespaceMode.Node)
        {
            yield return new NamespaceSpec { Type = "ipc" };
        }

        yield return new NamespaceSpec { Type = "uts" };
    }

    private static void Check(PodSandboxConfig config)
    {
        foreach (string name in (string[])[config.Hostname, config.Metadata?.Name ?? ""])
        {
            if (name.Any(static c => char.IsControl(c) || c is ' ' or '/'))
            {
                throw Invalid($"\"{name}\" is no name of a host.");
            }
        }

        DNSConfig dns = config.DnsConfig ?? new DNSConfig();
        foreach (string word in dns.Servers.Concat(dns.Searches).Concat(dns.Options))
        {
            if (word.Any(char.IsControl))
            {
                throw Invalid($"\"{word}\" cannot stand in resolv.conf.");
            }
        }

        // POD is a user namespace for the pod; NODE, the host's, is none.
        if (config.Linux?.SecurityContext?.NamespaceOptions?.UsernsOptions is { Mode: NamespaceMode.Pod })
        {
            throw Invalid("User namespaces are not supported: the pod has a machine of its own.");
        }
    }

    private static Dictionary<string, string> Annotations(CreateSandboxRequest request, RuntimeSpec spec, PodSandboxConfig? config)
    {
        Dictionary<string, string> annotations = spec.Annotations is { } own ? new(own) : [];
        foreach ((string name, string value) in request.Annotations)
        {
            annotations[name] = value;
        }

        foreach (string name in s_annotations)
        {
            if (config?.Annotations.TryGetValue(name, out string? value) == true)
            {
                annotations[name] = value;
            }
        }

        annotations[Cri + "container-type"] = "sandbox";
        annotations[Cri + "sandbox-id"] = request.SandboxId;
        return annotations;
    }

    private static string? CgroupOf(string parent, string id)
    {
        if (parent.Length == 0)
        {
            return null;
        }

        // As containerd's CRI names them, of systemd's slices too.
        string path = parent.EndsWith(".slice", StringComparison.Ordinal) ? $"{Path.GetFileName(parent)}:cri-containerd:{id}" : $"{parent.TrimEnd('/')}/{id}";
        return CgroupsPath.Parse(path) is null ? throw Invalid($"\"{parent}\" is no cgroup: it is names with slashes between them.") : path;
    }

    private static ResourcesSpec ResourcesOf(LinuxContainerResources resources) => new()
    {
        Cpu = new CpuSpec { Quota = resources.CpuQuota, Period = resources.CpuPeriod > 0 ? (ulong)resources.CpuPeriod : null },
        Memory = new MemorySpec { Limit = resources.MemoryLimitInBytes },
    };

    private static TtrpcException Invalid(string what) => new(StatusCode.InvalidArgument, what);
}
