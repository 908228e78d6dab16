using Hearth.Configuration;
using Hearth.Runtime.Handlers;
using Hearth.Runtime.Pods;

namespace Hearth.Runtime.OciPods;

/// <summary>
/// Pods as processes of the host, run by crun or runc under conmon: for pods that need the host's namespaces or devices. A pod
/// is its namespaces, held by a container that sleeps, its cgroup and its containers; all of it outlives this process.
/// Thread: any.
/// </summary>
internal sealed class OciHandler : IPodHandler
{
    private readonly HearthConfig _config;
    private readonly OciRuntimeProgram _runtime;
    private readonly Conmon _conmon;
    private readonly ProcessWatch _watch = new();
    private readonly Action<string> _log;

    public OciHandler(HearthConfig config, Action<string> log)
    {
        _config = config;
        _log = log;
        _runtime = new OciRuntimeProgram(config);
        _conmon = new Conmon(config, _runtime);
    }

    public string Name => "oci";

    public bool RecursiveReadonlyMounts => true;

    public bool UserNamespaces => false;

    public string Problem() =>
        _runtime.Path is null ? $"There is no program \"{_config.Oci.Runtime}\" (oci.runtime): install Debian's package crun or runc."
        : _conmon.Path is null ? $"There is no program \"{_config.Oci.Conmon}\" (oci.conmon): install Debian's package conmon."
        : OciCgroup.IsUnified() ? ""
        : $"{OciCgroup.Mount} is no cgroup v2: boot the host with systemd.unified_cgroup_hierarchy=1.";

    public void Check(PodConfig config)
    {
        if (config.Security.Namespaces.User is { Mode: NamespaceMode.Pod })
        {
            throw Refuse($"The pod {config.Metadata.Name} asks for a user namespace (hostUsers: false), which the handler \"oci\" does not have: in a microVM (handler \"microvm\") root is root of a machine of its own.");
        }

        if (config.CgroupParent.EndsWith(".slice", StringComparison.Ordinal))
        {
            throw Refuse($"The pod {config.Metadata.Name} is to be in {config.CgroupParent}, a slice of systemd: Hearth manages cgroups by their files (the kubelet's cgroupDriver: cgroupfs).");
        }

        foreach (string name in config.Sysctls.Keys)
        {
            bool network = name.StartsWith("net.", StringComparison.Ordinal);
            bool ipc = name.StartsWith("fs.mqueue.", StringComparison.Ordinal) || name.StartsWith("kernel.shm", StringComparison.Ordinal)
                || name.StartsWith("kernel.msg", StringComparison.Ordinal) || name == "kernel.sem";
            if ((!network && !ipc) || (network && config.Security.Namespaces.Network == NamespaceMode.Node) || (ipc && config.Security.Namespaces.Ipc == NamespaceMode.Node))
            {
                throw Refuse($"The pod {config.Metadata.Name} asks for the sysctl {name}, which is the whole host's. In a microVM (handler \"microvm\") it would be the machine's own.");
            }
        }
    }

    public void Check(Pod pod, ContainerConfig config)
    {
        if (config.CdiDevices.Count > 0)
        {
            throw Refuse($"The container \"{config.Name}\" asks for the CDI device {config.CdiDevices[0]}, and Hearth does not read CDI.");
        }

        foreach (ContainerMount mount in config.Mounts)
        {
            if (mount.UidMappings.Count + mount.GidMappings.Count > 0)
            {
                throw Refuse($"The mount at {mount.ContainerPath} of container \"{config.Name}\" maps users (uidMappings), which Hearth does not do.");
            }
        }
    }

    public async Task<IRunningPod> StartAsync(PodLaunch launch, CancellationToken cancellation)
    {
        OciPod pod = Open(launch);
        try
        {
            await pod.BeginAsync(launch.Network, cancellation).ConfigureAwait(false);
            return pod;
        }
        catch
        {
            await pod.DisposeAsync().ConfigureAwait(false);
            await CleanUpAsync(launch, CancellationToken.None).ConfigureAwait(false);
            throw;
        }
    }

    public async Task<IRunningPod?> AdoptAsync(PodLaunch launch, IReadOnlyList<Container> containers, CancellationToken cancellation)
    {
        OciPod pod = Open(launch);
        if (await pod.FindAsync(containers, cancellation).ConfigureAwait(false))
        {
            return pod;
        }

        await pod.DisposeAsync().ConfigureAwait(false);
        return null;
    }

    public async Task CleanUpAsync(PodLaunch launch, CancellationToken cancellation)
    {
        var paths = new OciPaths(_config, launch.Pod.Id, launch.Folder);
        List<string> ids = Directory.Exists(paths.Writable) ? [.. Directory.GetDirectories(paths.Writable).Select(static path => Path.GetFileName(path))] : [];
        if (_runtime.Path is not null)
        {
            foreach (string id in ids.Append(paths.InfraId))
            {
                await _runtime.DeleteAsync(id, cancellation).ConfigureAwait(false);
            }
        }

        await new OciCgroup(launch.Pod.Config.CgroupParent, launch.Pod.Id).RemoveAsync().ConfigureAwait(false);
        // The folder itself, and the name files in it, are whoever's who made it.
        foreach (string folder in new[] { paths.Infra, paths.Exits, paths.Execs, paths.Writable, Path.Combine(launch.Folder, "containers") })
        {
            RootMounts.Remove(folder);
        }

        RootMounts.RemoveMount(paths.Shm);
        paths.RemoveShared();
    }

    private static PodException Refuse(string why) => new(PodFault.InvalidArgument, why);

    private OciPod Open(PodLaunch launch) => new(launch, new OciPaths(_config, launch.Pod.Id, launch.Folder), _runtime, _conmon, _watch, _log);
}
