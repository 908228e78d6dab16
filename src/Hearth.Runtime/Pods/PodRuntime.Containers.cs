using Hearth.Images;
using Hearth.Runtime.Handlers;
using Hearth.Runtime.Specs;
using Hearth.Runtime.State;

namespace Hearth.Runtime.Pods;

/// <summary>Containers: create, start, stop, remove, change.</summary>
public sealed partial class PodRuntime
{
    /// <summary>Of a container whose end nobody saw.</summary>
    private const int UnknownExitCode = 255;

    // Of a container that could not be started.
    private const int StartErrorExitCode = 128;
    private const int NotFoundExitCode = 127;

    // From SIGKILL to the end: more than any machine needs that is not stuck.
    private static readonly TimeSpan s_killTime = TimeSpan.FromMinutes(2);

    /// <summary>Makes a container in a pod that is ready; it waits to be started.</summary>
    /// <returns>Its ID.</returns>
    /// <exception cref="PodException">AlreadyExists: the pod has one of that name and attempt. NotFound: no such pod or image.</exception>
    public async Task<string> CreateContainerAsync(string podId, ContainerConfig config, CancellationToken cancellation = default)
    {
        PodEntry pod = Visible(_pods.Get(podId));
        IRunningPod running = RunningOf(pod);
        PodChecks.Check(config);
        pod.Handler.Check(pod.Record, config);
        string id = Registry<ContainerEntry>.NewId();
        string name = NameOf(pod, config);
        _containers.Reserve(name, id, $"\"{config.Name}\", attempt {config.Attempt}, in pod {pod.Record.Id}");
        string folder = ContainerFolder(pod, id);
        var holds = new List<IDisposable>();
        ContainerEntry? entry = null;
        try
        {
            Image image = Hold(config.Image, holds);
            var volumes = new Dictionary<int, Image>();
            for (int i = 0; i < config.Mounts.Count; i++)
            {
                if (config.Mounts[i].Image is { } volume)
                {
                    volumes[i] = Hold(volume, holds);
                }
            }

            config = config with { Mounts = [.. config.Mounts.Select((mount, i) => volumes.TryGetValue(i, out Image? mounted) ? mount with { ImageId = mounted.Id.ToString() } : mount)] };

            PodLaunch launch = Launch(pod);
            BuiltSpec built = SpecBuilder.Build(pod.Record, launch.Files, PodFolders.ShmOf(launch.Folder), config, image, volumes);
            string log = PodFolders.LogPath(pod.Record.Config, config);
            var record = new Container
            {
                Id = id,
                PodId = pod.Record.Id,
                Config = config,
                ImageId = image.Id.ToString(),
                ImageRef = image.Digests.FirstOrDefault() ?? image.Id.ToString(),
                ImageManifest = image.Manifest.ToString(),
                Phase = ContainerPhase.Creating,
                CreatedAt = DateTimeOffset.UtcNow,
                LogPath = log,
                Resources = config.Resources ?? new LinuxResources(),
                User = built.User,
                StopSignal = built.StopSignal,
                Command = built.Spec.Process!.Args,
            };
            entry = new ContainerEntry(record, pod) { Process = built.Spec.Process };
            _store.Write(record, flush: false);
            _containers.Add(id, entry);
            Directory.CreateDirectory(folder);
            if (log.Length > 0)
            {
                Directory.CreateDirectory(Path.GetDirectoryName(log)!);
            }

            IReadOnlyDictionary<string, string> state = await running.CreateContainerAsync(
                new ContainerLaunch { Container = record, Folder = folder, Spec = built.Spec, Image = image, ImageVolumes = volumes }, cancellation).ConfigureAwait(false);
            cancellation.ThrowIfCancellationRequested();
            Update(entry, container => container with { Phase = ContainerPhase.Created, HandlerState = state }, flush: false);
            if (pod.Running != running || !pod.Record.IsReady)
            {
                throw new PodException(PodFault.FailedPrecondition, $"The pod {pod.Record.Id} was stopped meanwhile.");
            }

            entry.Holds = holds;
        }
        catch (Exception e)
        {
            if (entry is not null)
            {
                await CleanAsync($"Removing the container {id}", () => running.RemoveContainerAsync(id, CancellationToken.None)).ConfigureAwait(false);
                await CleanAsync($"Removing the files of container {id}", () => PodFolders.RemoveAsync(folder)).ConfigureAwait(false);
                _containers.Remove(id);
                await CleanAsync($"Removing the record of container {id}", () =>
                {
                    _store.DeleteContainer(id);
                    return Task.CompletedTask;
                }).ConfigureAwait(false);
            }

            holds.ForEach(static hold => hold.Dispose());
            _containers.Release(name, id);
            throw Failures.Of(e, $"Creating the container {config.Name}");
        }

        Publish(ChangeKind.Created, pod, entry.Record);
        return id;
    }

    /// <exception cref="PodException">
    /// FailedPrecondition: it was started before. NotFound: no such container. Others: its program cannot be run; it is then exited, with
    /// the reason.
    /// </exception>
    public async Task StartContainerAsync(string id, CancellationToken cancellation = default)
    {
        ContainerEntry entry = Visible(_containers.Get(id));
        await DetachedAsync(() => AloneAsync(entry, () => StartAsync(entry)), $"Starting the container {entry.Record.Config.Name}", cancellation).ConfigureAwait(false);
    }

    /// <summary>Sends its stop signal, and SIGKILL after <paramref name="timeout"/>. One that has ended or is gone is no error.</summary>
    public async Task StopContainerAsync(string id, TimeSpan timeout, CancellationToken cancellation = default)
    {
        if (_containers.Find(id) is not { } entry)
        {
            return;
        }

        try
        {
            await StopAsync(entry, timeout, cancellation).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            throw Failures.Of(e, $"Stopping the container {entry.Record.Config.Name}");
        }
    }

    /// <summary>Sends one signal to a running container's first process.</summary>
    /// <exception cref="PodException">NotFound; FailedPrecondition: it does not run.</exception>
    public async Task SignalContainerAsync(string id, int signal, CancellationToken cancellation = default)
    {
        ContainerEntry entry = Visible(_containers.Get(id));
        if (signal is < 1 or > 64)
        {
            throw new PodException(PodFault.InvalidArgument, $"{signal} is no signal: they are 1 to 64.");
        }

        IRunningPod running = RunningOf(entry);
        try
        {
            await running.KillAsync(entry.Record.Id, signal, all: false, cancellation).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            throw Failures.Of(e, $"Signalling the container {entry.Record.Config.Name}");
        }
    }

    /// <summary>Kills it if it runs, and removes it. One that is gone is no error.</summary>
    public async Task RemoveContainerAsync(string id, CancellationToken cancellation = default)
    {
        if (_containers.Find(id) is { Record.Phase: not ContainerPhase.Creating } entry)
        {
            await DetachedAsync(() => AloneAsync(entry, () => RemoveAsync(entry)), $"Removing the container {entry.Record.Config.Name}", cancellation).ConfigureAwait(false);
        }
    }

    /// <summary>Changes limits of a container that was created or runs; what is 0 or empty stays.</summary>
    public async Task UpdateContainerResourcesAsync(string id, LinuxResources resources, CancellationToken cancellation = default)
    {
        ContainerEntry entry = Visible(_containers.Get(id));
        ResourceSpecs.Check(resources);
        await DetachedAsync(
            () => AloneAsync(entry, async () =>
            {
                if (entry.Record.Phase is not (ContainerPhase.Created or ContainerPhase.Running))
                {
                    throw new PodException(PodFault.FailedPrecondition, $"The container {entry.Record.Config.Name} has ended: its limits cannot be changed.");
                }

                await (entry.Pod.Running ?? throw Ended(entry)).UpdateContainerAsync(entry.Record.Id, ResourceSpecs.Of(resources), CancellationToken.None).ConfigureAwait(false);
                Update(entry, container => container with { Resources = ResourceSpecs.Merge(container.Resources, resources) });
            }),
            $"Updating the container {entry.Record.Config.Name}", cancellation).ConfigureAwait(false);
    }

    /// <summary>Goes on with a running container's log in a new file of the same name.</summary>
    public async Task ReopenLogAsync(string id, CancellationToken cancellation = default)
    {
        ContainerEntry entry = Visible(_containers.Get(id));
        IRunningPod running = RunningOf(entry);
        if (entry.Record.LogPath.Length == 0)
        {
            throw new PodException(PodFault.FailedPrecondition, $"The container {entry.Record.Config.Name} has no log.");
        }

        try
        {
            await running.ReopenLogAsync(entry.Record.Id, cancellation).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            throw Failures.Of(e, $"Reopening the log of {entry.Record.Config.Name}");
        }
    }

    /// <summary>Refuses with a reason: a machine's snapshot is no container's.</summary>
    /// <exception cref="PodException">Unimplemented, or NotFound.</exception>
    public Task CheckpointContainerAsync(string id, string location, CancellationToken cancellation = default)
    {
        ContainerEntry entry = Visible(_containers.Get(id));
        return Task.FromException(new PodException(PodFault.Unimplemented, $"The container {entry.Record.Config.Name} cannot be checkpointed to {location}: what Hearth can keep is a whole machine, and a container is a part of one."));
    }

    private static string NameOf(PodEntry pod, ContainerConfig config) => $"{pod.Record.Id}\n{config.Name}\n{config.Attempt}";

    private static PodException Ended(ContainerEntry entry) =>
        new(PodFault.FailedPrecondition, $"The pod of the container {entry.Record.Config.Name} has ended.");

    private static IRunningPod RunningOf(ContainerEntry entry) =>
        entry.Record.Phase != ContainerPhase.Running
            ? throw new PodException(PodFault.FailedPrecondition, $"The container {entry.Record.Config.Name} ({entry.Record.Id}) is {entry.Record.Phase.ToString().ToLowerInvariant()}, and not running.")
            : entry.Pod.Running ?? throw Ended(entry);

    private static async Task AloneAsync(ContainerEntry entry, Func<Task> work)
    {
        await entry.Gate.WaitAsync().ConfigureAwait(false);
        try
        {
            await work().ConfigureAwait(false);
        }
        finally
        {
            entry.Gate.Release();
        }
    }

    private string ContainerFolder(PodEntry pod, string id) => Path.Combine(PodFolder(pod.Record.Id), "containers", id);

    private Image Hold(string name, List<IDisposable> holds)
    {
        Image image = Images.Find(name) ?? throw new PodException(PodFault.NotFound, $"The image \"{name}\" is not here: pull it.");
        holds.Add(Images.Hold(image));
        return image;
    }

    /// <summary>With the container's gate held.</summary>
    private async Task StartAsync(ContainerEntry entry)
    {
        string id = entry.Record.Id;
        if (entry.Record.Phase != ContainerPhase.Created)
        {
            throw new PodException(PodFault.FailedPrecondition, $"The container {entry.Record.Config.Name} ({id}) is {entry.Record.Phase.ToString().ToLowerInvariant()}: it can be started once, after it was created.");
        }

        IRunningPod running = RunningOf(entry.Pod);
        lock (entry.Sync)
        {
            entry.Starting = true;
        }

        DateTimeOffset now = DateTimeOffset.UtcNow;
        try
        {
            await running.StartContainerAsync(id, CancellationToken.None).ConfigureAwait(false);
            Update(entry, container => container with { Phase = ContainerPhase.Running, StartedAt = now }, fact: true, flush: false);
        }
        catch (Exception e)
        {
            if (Failures.Of(e, "It") is PodException failure)
            {
                int code = failure.Fault == PodFault.NotFound ? NotFoundExitCode : StartErrorExitCode;
                Update(
                    entry,
                    container => container with
                    {
                        Phase = ContainerPhase.Exited,
                        ExitCode = code,
                        StartedAt = now,
                        FinishedAt = DateTimeOffset.UtcNow,
                        Reason = "StartError",
                        Message = e.Message,
                    },
                    fact: true);
                entry.Ended.TrySetResult();
                Publish(ChangeKind.Stopped, entry.Pod, entry.Record);
            }

            throw;
        }
        finally
        {
            HandlerEvent.ContainerStopped? ended;
            bool runs = entry.Record.Phase == ContainerPhase.Running;
            if (runs)
            {
                Publish(ChangeKind.Started, entry.Pod, entry.Record);
            }

            lock (entry.Sync)
            {
                entry.Starting = false;
                ended = entry.EndedEarly;
            }

            if (ended is not null && runs)
            {
                EndContainer(entry, ended);
            }
        }
    }

    private static async Task StopAsync(ContainerEntry entry, TimeSpan timeout, CancellationToken cancellation)
    {
        string id = entry.Record.Id;
        if (entry.Record.Phase is not (ContainerPhase.Running or ContainerPhase.Unknown) || entry.Pod.Running is not { } running)
        {
            // Nothing runs; or its pod has ended, and its own end is about to be told of.
            return;
        }

        if (timeout > TimeSpan.Zero)
        {
            await running.KillAsync(id, entry.Record.StopSignal, all: false, cancellation).ConfigureAwait(false);
            // Longer than a timer takes is for ever.
            TimeSpan patience = timeout < TimeSpan.FromDays(24) ? timeout : Timeout.InfiniteTimeSpan;
            if (await EndsWithinAsync(entry, patience, cancellation).ConfigureAwait(false))
            {
                return;
            }
        }

        await running.KillAsync(id, Signals.Kill, all: true, cancellation).ConfigureAwait(false);
        if (!await EndsWithinAsync(entry, s_killTime, cancellation).ConfigureAwait(false))
        {
            throw new PodException(PodFault.DeadlineExceeded, $"The container {entry.Record.Config.Name} has not ended {s_killTime.TotalSeconds} s after SIGKILL. Stop its pod: that ends the machine.");
        }
    }

    private static async Task<bool> EndsWithinAsync(ContainerEntry entry, TimeSpan time, CancellationToken cancellation)
    {
        try
        {
            await entry.Ended.Task.WaitAsync(time, cancellation).ConfigureAwait(false);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    /// <summary>With the container's gate held.</summary>
    private async Task RemoveAsync(ContainerEntry entry)
    {
        string id = entry.Record.Id;
        if (_containers.Find(id) != entry)
        {
            return;
        }

        await StopAsync(entry, TimeSpan.Zero, CancellationToken.None).ConfigureAwait(false);
        if (entry.Pod.Running is { } running)
        {
            await running.RemoveContainerAsync(id, CancellationToken.None).ConfigureAwait(false);
        }

        await PodFolders.RemoveAsync(ContainerFolder(entry.Pod, id)).ConfigureAwait(false);
        _store.DeleteContainer(id);
        _containers.Remove(id);
        _containers.Release(NameOf(entry.Pod, entry.Record.Config), id);
        entry.ReleaseHolds();
        entry.Ended.TrySetResult();
        Publish(ChangeKind.Deleted, entry.Pod, entry.Record);
    }

    /// <summary>A container's first process has ended.</summary>
    private void EndContainer(ContainerEntry entry, HandlerEvent.ContainerStopped stopped)
    {
        lock (entry.Sync)
        {
            if (entry.Starting)
            {
                entry.EndedEarly ??= stopped;
                return;
            }
        }

        bool changed = Update(
            entry,
            container =>
            {
                if (container.Phase is not (ContainerPhase.Created or ContainerPhase.Running or ContainerPhase.Unknown))
                {
                    return null;
                }

                bool memory = container.OutOfMemory || stopped.OutOfMemory;
                return container with
                {
                    Phase = ContainerPhase.Exited,
                    ExitCode = stopped.ExitCode,
                    // By the guest's clock, which may be behind: no container ends before it starts.
                    FinishedAt = stopped.At < container.StartedAt ? container.StartedAt : stopped.At,
                    OutOfMemory = memory,
                    Reason = memory && stopped.ExitCode == 128 + Signals.Kill ? "OOMKilled"
                        : stopped.ExitCode == UnknownExitCode && stopped.Message.Length > 0 ? "ContainerStatusUnknown"
                        : stopped.ExitCode == 0 ? "Completed"
                        : "Error",
                    Message = stopped.Message,
                };
            },
            fact: true);
        if (changed)
        {
            entry.Ended.TrySetResult();
            Publish(ChangeKind.Stopped, entry.Pod, entry.Record);
        }
    }
}
