using System.Globalization;
using System.Text.Json;
using Hearth.Images;
using Hearth.Linux;
using Hearth.Oci.Runtime;
using Hearth.Runtime.Handlers;
using Hearth.Runtime.Pods;

namespace Hearth.Runtime.OciPods;

/// <summary>Containers: made, started, signalled, changed, ended, removed.</summary>
internal sealed partial class OciPod
{
    private const int SigKill = 9;
    private static readonly TimeSpan s_reopenTime = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_pollTime = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan s_conmonTime = TimeSpan.FromSeconds(30);

    public async Task<IReadOnlyDictionary<string, string>> CreateContainerAsync(ContainerLaunch launch, CancellationToken cancellation)
    {
        string id = launch.Container.Id;
        var container = OciContainer.Of(launch.Container, launch.Folder);
        ContainerPaths paths = container.Paths;
        try
        {
            if (container.LogPath.Contains(':'))
            {
                throw new PodException(PodFault.InvalidArgument, $"The log's path {container.LogPath} has a ':', which conmon cannot take.");
            }

            // First of all: by it a later clean-up knows the container.
            string writable = _paths.WritableOf(id);
            Directory.CreateDirectory(writable);
            await RootMounts.MountImageAsync(launch.Image.RootFilesystem, paths.Image, cancellation).ConfigureAwait(false);
            RootMounts.MountOverlay(paths.Image, writable, paths.Root);
            IReadOnlyDictionary<string, string> volumes = await MountVolumesAsync(launch, paths, cancellation).ConfigureAwait(false);
            int target = TargetOf(launch.Container.Config);
            RuntimeSpec spec = OciSpecs.Complete(launch, Pod, _cgroup, _infraPid, target, volumes);
            await File.WriteAllBytesAsync(paths.Spec, spec.ToJson(), cancellation).ConfigureAwait(false);
            ContainerConfig config = launch.Container.Config;
            _containers[id] = container;
            await _conmon.StartAsync(
                new ConmonJob
                {
                    ContainerId = id,
                    JobId = id,
                    Folder = paths.Folder,
                    PidFile = paths.Pid,
                    ConmonPidFile = paths.ConmonPid,
                    Terminal = config.Tty,
                    Stdin = config.Stdin,
                    LeaveStdinOpen = config.Stdin && !config.StdinOnce,
                    LogPath = container.LogPath,
                    ExitFolder = _paths.Exits,
                },
                _cgroup,
                attach: null,
                cancellation).ConfigureAwait(false);
            WatchContainer(container);
            return new Dictionary<string, string> { [OciContainer.FolderKey] = launch.Folder };
        }
        catch
        {
            _containers[id] = container;
            await RemoveContainerAsync(id, CancellationToken.None).ConfigureAwait(false);
            throw;
        }
    }

    public async Task StartContainerAsync(string id, CancellationToken cancellation) =>
        await _runtime.RunAsync(["start", Get(id).Id], cancellation).ConfigureAwait(false);

    public async Task KillAsync(string id, int signal, bool all, CancellationToken cancellation)
    {
        if (!_containers.TryGetValue(id, out OciContainer? container))
        {
            return;
        }

        if (all && signal == SigKill)
        {
            _cgroup.Kill(id);
            return;
        }

        string number = signal.ToString(CultureInfo.InvariantCulture);
        (int code, _, string error) = await _runtime.TryAsync(all ? ["kill", "--all", id, number] : ["kill", id, number], cancellation).ConfigureAwait(false);
        if (code != 0 && !container.Ended.Task.IsCompleted
            && await _runtime.StateAsync(id, cancellation).ConfigureAwait(false) is { Status: "running" or "created" or "paused" })
        {
            throw _runtime.Failure("kill", error);
        }
    }

    public async Task RemoveContainerAsync(string id, CancellationToken cancellation)
    {
        if (!_containers.TryGetValue(id, out OciContainer? container))
        {
            return;
        }

        await _runtime.DeleteAsync(id, cancellation).ConfigureAwait(false);
        container.Watch?.Dispose();
        // conmon writes the last of the log, and ends.
        int conmon = HostProcess.ReadPid(container.Paths.ConmonPid);
        using (FileDescriptor? process = HostProcess.TryOpen(conmon, id))
        {
            if (process is not null && !await Task.Run(() => Polling.WaitReadable(process, (int)s_conmonTime.TotalMilliseconds), CancellationToken.None).ConfigureAwait(false))
            {
                ChildProcess.Signal(process, SigKill);
            }
        }

        container.Ended.TrySetResult(ReadExitCode(id) ?? KilledExitCode);
        RootMounts.Remove(container.Paths.Folder);
        RootMounts.Remove(_paths.WritableOf(id));
        File.Delete(Path.Combine(_paths.Exits, id));
        _containers.TryRemove(id, out _);
    }

    public async Task UpdateContainerAsync(string id, ResourcesSpec resources, CancellationToken cancellation)
    {
        string file = Path.Combine(Get(id).Paths.Folder, $"update-{Guid.NewGuid():N}.json");
        try
        {
            await File.WriteAllBytesAsync(file, JsonSerializer.SerializeToUtf8Bytes(resources, RuntimeJson.Default.ResourcesSpec), cancellation).ConfigureAwait(false);
            await _runtime.RunAsync(["update", "--resources", file, id], cancellation).ConfigureAwait(false);
        }
        finally
        {
            File.Delete(file);
        }
    }

    public async Task ReopenLogAsync(string id, CancellationToken cancellation)
    {
        OciContainer container = Get(id);
        if (container.LogPath.Length == 0)
        {
            return;
        }

        if (container.Ended.Task.IsCompleted)
        {
            throw new PodException(PodFault.FailedPrecondition, $"The container {id} has ended, and its log with it.");
        }

        ConmonControl.Write(container.Paths.Control, "2 0 0\n");
        // It does so soon; callers look for the new file at once.
        for (DateTime until = DateTime.UtcNow + s_reopenTime; !File.Exists(container.LogPath) && DateTime.UtcNow < until;)
        {
            await Task.Delay(s_pollTime, cancellation).ConfigureAwait(false);
        }
    }

    private async Task<IReadOnlyDictionary<string, string>> MountVolumesAsync(ContainerLaunch launch, ContainerPaths paths, CancellationToken cancellation)
    {
        var volumes = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach ((int place, Image image) in launch.ImageVolumes)
        {
            ContainerMount mount = launch.Container.Config.Mounts[place];
            string folder = Path.Combine(paths.Volumes, place.ToString(CultureInfo.InvariantCulture));
            await RootMounts.MountImageAsync(image.RootFilesystem, folder, cancellation).ConfigureAwait(false);
            string inside = Path.GetFullPath("/" + mount.ContainerPath);
            volumes[inside.Length > 1 ? inside.TrimEnd('/') : inside] = mount.ImageSubPath.Length > 0 ? RootMounts.PartOf(folder, mount.ImageSubPath) : folder;
        }

        return volumes;
    }

    private int TargetOf(ContainerConfig config)
    {
        if (config.Security.Namespaces.Pid != NamespaceMode.Target)
        {
            return 0;
        }

        string target = config.Security.Namespaces.TargetId;
        return _containers.TryGetValue(target, out OciContainer? found) && !found.Ended.Task.IsCompleted && HostProcess.ReadPid(found.Paths.Pid) is > 0 and var pid
            ? pid
            : throw new PodException(PodFault.FailedPrecondition, $"The container {target}, whose processes are to be shared, does not run in the pod {Pod.Id}.");
    }

    private void WatchContainer(OciContainer container)
    {
        FileDescriptor? conmon = HostProcess.TryOpen(HostProcess.ReadPid(container.Paths.ConmonPid), container.Id);
        if (conmon is null)
        {
            Task.Run(() => OnConmonEndedAsync(container));
            return;
        }

        container.Watch = _watch.Add(conmon, () => _ = OnConmonEndedAsync(container));
    }

    // conmon ends after the container: with its exit code left in a file, or killed, and then nobody holds the container's
    // streams any more.
    private async Task OnConmonEndedAsync(OciContainer container)
    {
        int? code = ReadExitCode(container.Id);
        string message = "";
        bool outOfMemory = _cgroup.HasRunOutOfMemory(container.Id);
        DateTimeOffset at = DateTimeOffset.UtcNow;
        try
        {
            if (code is null)
            {
                message = "The container's conmon was killed, and the container with it.";
                await _runtime.TryAsync(["kill", container.Id, "9"], CancellationToken.None).ConfigureAwait(false);
            }
            else
            {
                at = File.GetLastWriteTimeUtc(Path.Combine(_paths.Exits, container.Id));
            }

            if (code is null || container.SharesProcesses)
            {
                _cgroup.Kill(container.Id);
            }
        }
        catch (HearthException e)
        {
            _log($"The rest of the container {container.Id} could not be killed: {e.Message}");
        }

        if (container.Ended.TrySetResult(code ?? KilledExitCode))
        {
            Tell(new HandlerEvent.ContainerStopped(container.Id, code ?? KilledExitCode, at, outOfMemory, message));
        }
    }

    private int? ReadExitCode(string id)
    {
        try
        {
            return int.TryParse(File.ReadAllText(Path.Combine(_paths.Exits, id)), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int code) ? code : null;
        }
        catch (IOException)
        {
            return null;
        }
    }
}
