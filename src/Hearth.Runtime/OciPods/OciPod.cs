using System.Collections.Concurrent;
using System.Globalization;
using Hearth.Linux;
using Hearth.Oci.Runtime;
using Hearth.Runtime.Handlers;
using Hearth.Runtime.Pods;
using Hearth.Runtime.Specs;

namespace Hearth.Runtime.OciPods;

/// <summary>One pod of <see cref="OciHandler"/>: its beginning, its end, and being found again.</summary>
internal sealed partial class OciPod : IRunningPod
{
    private const uint ShmBytes = 64 << 20;
    private const string InfraKey = "infra";
    private const int KilledExitCode = 137;

    private readonly PodLaunch _launch;
    private readonly OciPaths _paths;
    private readonly OciRuntimeProgram _runtime;
    private readonly Conmon _conmon;
    private readonly ProcessWatch _watch;
    private readonly Action<string> _log;
    private readonly OciCgroup _cgroup;
    private readonly ConcurrentDictionary<string, OciContainer> _containers = new(StringComparer.Ordinal);

    // Events are told one at a time.
    private readonly Lock _telling = new();
    private IDisposable? _infraWatch;
    private int _infraPid;
    private volatile bool _ending;

    public OciPod(PodLaunch launch, OciPaths paths, OciRuntimeProgram runtime, Conmon conmon, ProcessWatch watch, Action<string> log)
    {
        _launch = launch;
        _paths = paths;
        _runtime = runtime;
        _conmon = conmon;
        _watch = watch;
        _log = log;
        _cgroup = new OciCgroup(launch.Pod.Config.CgroupParent, launch.Pod.Id);
    }

    public IReadOnlyDictionary<string, string> State =>
        new Dictionary<string, string> { [InfraKey] = _infraPid.ToString(CultureInfo.InvariantCulture) };

    private Pod Pod => _launch.Pod;

    private NamespaceOptions Namespaces => Pod.Config.Security.Namespaces;

    /// <summary>Makes the pod: cgroup, shared memory, and the container that holds its namespaces.</summary>
    /// <param name="network">Completes when the pod's network is there; null for the host's.</param>
    /// <param name="cancellation">Ends the attempt; what is there by then is the caller's to clean up.</param>
    public async Task BeginAsync(Task? network, CancellationToken cancellation)
    {
        foreach (string folder in new[] { _paths.Infra, _paths.Exits, _paths.Execs, _paths.Writable, _paths.RuntimeState })
        {
            Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        _cgroup.Create();
        if (Pod.Config.Resources is { } limits)
        {
            _cgroup.Limit(ResourceSpecs.Of(limits));
        }

        if (Namespaces.Ipc != NamespaceMode.Node)
        {
            RootMounts.MountShm(_paths.Shm, ShmBytes);
        }

        InfraContainer.WriteBundle(_paths, _cgroup, Pod);
        string pidFile = new ContainerPaths(_paths.Infra).Pid;
        await _runtime.CreateAsync(_paths.Infra, pidFile, Path.Combine(_paths.Infra, "errors"), _paths.InfraId, cancellation).ConfigureAwait(false);
        await _runtime.RunAsync(["start", _paths.InfraId], cancellation).ConfigureAwait(false);
        _infraPid = HostProcess.ReadPid(pidFile);
        WatchInfra();
        if (network is not null)
        {
            await network.WaitAsync(cancellation).ConfigureAwait(false);
        }
    }

    /// <summary>Finds what a predecessor left running.</summary>
    /// <returns>False if the pod is gone.</returns>
    public async Task<bool> FindAsync(IReadOnlyList<Container> containers, CancellationToken cancellation)
    {
        if (await _runtime.StateAsync(_paths.InfraId, cancellation).ConfigureAwait(false) is not { Status: "running", Pid: > 0 and var pid })
        {
            return false;
        }

        _infraPid = pid;
        HashSet<string> known = [.. containers.Select(static container => container.Id)];
        foreach (string stranger in Directory.GetDirectories(_paths.Writable).Select(static path => Path.GetFileName(path)).Where(id => !known.Contains(id)))
        {
            // Being made when the predecessor ended.
            _containers[stranger] = new OciContainer(stranger, Path.Combine(_paths.PodFolder, "containers", stranger));
            await RemoveContainerAsync(stranger, cancellation).ConfigureAwait(false);
        }

        foreach (Container container in containers)
        {
            await FindAsync(container, cancellation).ConfigureAwait(false);
        }

        WatchInfra();
        return true;
    }

    public async Task StopAsync(CancellationToken cancellation)
    {
        _ending = true;
        foreach (OciContainer container in _containers.Values)
        {
            await RemoveContainerAsync(container.Id, cancellation).ConfigureAwait(false);
        }

        _infraWatch?.Dispose();
        await _runtime.DeleteAsync(_paths.InfraId, cancellation).ConfigureAwait(false);
        await _cgroup.RemoveAsync().ConfigureAwait(false);
        RootMounts.RemoveMount(_paths.Shm);
        foreach (string folder in new[] { _paths.Infra, _paths.Exits, _paths.Execs, _paths.Writable })
        {
            RootMounts.Remove(folder);
        }

        _paths.RemoveShared();
    }

    public Task UpdatePodAsync(ResourcesSpec resources, CancellationToken cancellation)
    {
        _cgroup.Limit(resources);
        return Task.CompletedTask;
    }

    public Task<IReadOnlyDictionary<string, string>> DescribeAsync(CancellationToken cancellation) => Task.FromResult<IReadOnlyDictionary<string, string>>(
        new Dictionary<string, string>
        {
            ["infraPid"] = _infraPid.ToString(CultureInfo.InvariantCulture),
            ["runtime"] = _runtime.Path ?? "",
            ["conmon"] = _conmon.Path ?? "",
            ["cgroup"] = _cgroup.Path,
        });

    public ValueTask DisposeAsync()
    {
        _ending = true;
        _infraWatch?.Dispose();
        foreach (OciContainer container in _containers.Values)
        {
            container.Watch?.Dispose();
        }

        return ValueTask.CompletedTask;
    }

    private async Task FindAsync(Container container, CancellationToken cancellation)
    {
        if (!container.HandlerState.TryGetValue(OciContainer.FolderKey, out string? folder))
        {
            Tell(new HandlerEvent.ContainerStopped(container.Id, KilledExitCode, DateTimeOffset.UtcNow, false, "The container was being made when hearthd ended."));
            return;
        }

        var found = OciContainer.Of(container, folder);
        _containers[container.Id] = found;
        if (container.Phase == ContainerPhase.Exited)
        {
            // Still to be removed.
            found.Ended.TrySetResult(container.ExitCode);
            return;
        }

        if (container.Phase == ContainerPhase.Created
            && await _runtime.StateAsync(container.Id, cancellation).ConfigureAwait(false) is { Status: "running" or "stopped" })
        {
            Tell(new HandlerEvent.ContainerStarted(container.Id, DateTimeOffset.UtcNow));
        }

        WatchContainer(found);
    }

    private void WatchInfra()
    {
        FileDescriptor process;
        try
        {
            process = ChildProcess.OpenPidfd(_infraPid);
        }
        catch (LinuxException)
        {
            OnInfraEnded();
            return;
        }

        _infraWatch = _watch.Add(process, OnInfraEnded);
    }

    // Without it the namespaces live as long as containers do, and no new one can be made.
    private void OnInfraEnded()
    {
        if (!_ending)
        {
            Tell(new HandlerEvent.PodStopped($"The process that holds the pod's namespaces ({_infraPid}) has ended."));
        }
    }

    private void Tell(HandlerEvent happened)
    {
        lock (_telling)
        {
            _launch.OnEvent(happened);
        }
    }

    private OciContainer Get(string id) => _containers.TryGetValue(id, out OciContainer? container)
        ? container
        : throw new PodException(PodFault.NotFound, $"There is no container {id} in the pod {Pod.Id}.");
}
