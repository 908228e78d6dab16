using Hearth.Runtime.Handlers;
using Hearth.Runtime.Specs;
using Hearth.Runtime.State;

namespace Hearth.Runtime.Pods;

/// <summary>Pods: run, stop, remove.</summary>
public sealed partial class PodRuntime
{
    private const string OciName = "oci";

    /// <summary>Makes and starts a pod.</summary>
    /// <param name="config">What it is to be.</param>
    /// <param name="handler"><c>microvm</c>, <c>oci</c>, or empty for the configured one.</param>
    /// <param name="cancellation">Undoes it.</param>
    /// <returns>Its ID.</returns>
    /// <exception cref="PodException">AlreadyExists: a pod with this metadata is there. NotFound: no such handler.</exception>
    public async Task<string> RunPodAsync(PodConfig config, string handler = "", CancellationToken cancellation = default)
    {
        IPodHandler chosen = ChooseHandler(config, handler);
        PodChecks.Check(config);
        chosen.Check(config);
        string id = Registry<PodEntry>.NewId();
        string name = NameOf(config.Metadata);
        _pods.Reserve(name, id, $"{config.Metadata.Namespace}/{config.Metadata.Name}, attempt {config.Metadata.Attempt}");
        bool hostNetwork = config.Security.Namespaces.Network == NamespaceMode.Node;
        var entry = new PodEntry(
            new Pod
            {
                Id = id,
                Config = config,
                Handler = chosen.Name,
                AskedHandler = handler,
                Phase = PodPhase.Starting,
                CreatedAt = DateTimeOffset.UtcNow,
                NetworkReleased = hostNetwork,
            },
            chosen);
        await entry.Gate.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        Task<IReadOnlyList<string>>? network = null;
        try
        {
            // From here on whoever comes after this process finds something to clean away.
            _store.Write(entry.Record, flush: false);
            _pods.Add(id, entry);
            if (!hostNetwork)
            {
                entry.Record = entry.Record with { NetworkNamespace = _network.CreateNamespace(id) };
                network = Task.Run(() => _network.AttachAsync(entry.Record, cancellation), CancellationToken.None);
            }

            PodLaunch launch = Launch(entry);
            PodFolders.Make(launch, config);
            launch = launch with { Network = network is null ? null : WithHostsAsync(network, launch.Files, config) };
            if (network is null)
            {
                PodFolders.WriteHosts(launch.Files, config, []);
            }

            IRunningPod running = await chosen.StartAsync(launch, cancellation).ConfigureAwait(false);
            entry.Running = running;
            IReadOnlyList<string> ips = network is null ? [] : await network.ConfigureAwait(false);
            cancellation.ThrowIfCancellationRequested();
            if (entry.EndedReason is { } ended)
            {
                throw new PodException(PodFault.Unavailable, $"The pod ended as soon as it had started: {ended}");
            }

            Update(entry, pod => pod with { Phase = PodPhase.Ready, Ips = ips, HandlerState = running.State });
        }
        catch (Exception e)
        {
            if (network is not null)
            {
                await CleanAsync($"The network of pod {id}", () => network).ConfigureAwait(false);
            }

            await UndoAsync(entry, name).ConfigureAwait(false);
            throw Failures.Of(e, $"Starting the pod {config.Metadata.Name}");
        }
        finally
        {
            entry.Gate.Release();
        }

        Publish(ChangeKind.Created, entry, null);
        Publish(ChangeKind.Started, entry, null);
        if (entry.EndedReason is { } reason)
        {
            // Between the look above and the record.
            EndPod(entry, reason);
        }

        return id;
    }

    /// <summary>Stops its containers and its machine, and gives its network back. One that is stopped or gone is no error.</summary>
    public async Task StopPodAsync(string id, CancellationToken cancellation = default)
    {
        if (_pods.Find(id) is { } entry)
        {
            await DetachedAsync(() => AloneAsync(entry, () => StopAsync(entry)), $"Stopping the pod {entry.Record.Config.Metadata.Name}", cancellation).ConfigureAwait(false);
        }
    }

    /// <summary>Stops it if it runs, and removes it with its containers. One that is gone is no error.</summary>
    public async Task RemovePodAsync(string id, CancellationToken cancellation = default)
    {
        if (_pods.Find(id) is { } entry)
        {
            await DetachedAsync(() => AloneAsync(entry, () => RemoveAsync(entry)), $"Removing the pod {entry.Record.Config.Metadata.Name}", cancellation).ConfigureAwait(false);
        }
    }

    /// <summary>Changes what the pod as a whole may use, its machine with it; null stays.</summary>
    /// <exception cref="PodException">FailedPrecondition: the machine cannot become so.</exception>
    public async Task UpdatePodResourcesAsync(string id, LinuxResources? overhead, LinuxResources? resources, CancellationToken cancellation = default)
    {
        PodEntry entry = Visible(_pods.Get(id));
        LinuxResources wanted = resources ?? new LinuxResources();
        ResourceSpecs.Check(wanted);
        ResourceSpecs.Check(overhead ?? new LinuxResources());
        await AloneAsync(entry, async () =>
        {
            IRunningPod running = RunningOf(entry);
            await running.UpdatePodAsync(ResourceSpecs.Of(wanted), cancellation).ConfigureAwait(false);
            Update(entry, pod => pod with
            {
                Config = pod.Config with
                {
                    Overhead = overhead is null ? pod.Config.Overhead : ResourceSpecs.Merge(pod.Config.Overhead ?? new LinuxResources(), overhead),
                    Resources = resources is null ? pod.Config.Resources : ResourceSpecs.Merge(pod.Config.Resources ?? new LinuxResources(), resources),
                },
            });
        }).ConfigureAwait(false);
    }

    private static string NameOf(PodMetadata metadata) => $"{metadata.Namespace}\n{metadata.Name}\n{metadata.Uid}\n{metadata.Attempt}";

    private static IRunningPod RunningOf(PodEntry entry) =>
        entry.Record.IsReady && entry.Running is { } running
            ? running
            : throw new PodException(PodFault.FailedPrecondition, $"The pod {entry.Record.Id} is not ready{(entry.Record.Reason.Length > 0 ? $": {entry.Record.Reason}" : ".")}");

    private IPodHandler ChooseHandler(PodConfig config, string asked)
    {
        string name = asked.Length > 0 ? asked : _config.Daemon.DefaultHandler;
        if (name != OciName && _config.Daemon.AutoHostNamespaces && PodChecks.WantsHostNamespaces(config) && _handlers.ContainsKey(OciName))
        {
            name = OciName;
        }

        return _handlers.TryGetValue(name, out IPodHandler? handler)
            ? handler
            : throw new PodException(PodFault.NotFound, $"There is no runtime handler \"{name}\": this hearthd has {string.Join(", ", _handlers.Keys.Order())}.");
    }

    private PodLaunch Launch(PodEntry entry)
    {
        string folder = PodFolder(entry.Record.Id);
        return new PodLaunch
        {
            Pod = entry.Record,
            Config = _config,
            Folder = folder,
            Files = PodFolders.FilesOf(folder),
            OnEvent = happened => OnEvent(entry, happened),
        };
    }

    private string PodFolder(string id) => Path.Combine(_config.Daemon.State, PodFolders.Name, id);

    private static async Task WithHostsAsync(Task<IReadOnlyList<string>> network, PodFiles files, PodConfig config) =>
        PodFolders.WriteHosts(files, config, await network.ConfigureAwait(false));

    private static async Task AloneAsync(PodEntry entry, Func<Task> work)
    {
        await entry.Gate.WaitAsync().ConfigureAwait(false);
        try
        {
            if (!entry.Removed)
            {
                await work().ConfigureAwait(false);
            }
        }
        finally
        {
            entry.Gate.Release();
        }
    }

    /// <summary>Takes a pod away that did not come to be.</summary>
    private async Task UndoAsync(PodEntry entry, string name)
    {
        entry.Removed = true;
        string id = entry.Record.Id;
        if (entry.Running is { } running)
        {
            entry.Running = null;
            await CleanAsync($"Stopping the pod {id}", () => running.StopAsync(CancellationToken.None)).ConfigureAwait(false);
            await running.DisposeAsync().ConfigureAwait(false);
        }

        await CleanAsync($"Cleaning the pod {id} away", () => entry.Handler.CleanUpAsync(Launch(entry), CancellationToken.None)).ConfigureAwait(false);
        if (entry.Record.NetworkNamespace.Length > 0)
        {
            await CleanAsync($"Giving back the network of pod {id}", () => _network.DetachAsync(id, CancellationToken.None)).ConfigureAwait(false);
        }

        await CleanAsync($"Removing the files of pod {id}", () => PodFolders.RemoveAsync(PodFolder(id))).ConfigureAwait(false);
        await CleanAsync($"Removing the record of pod {id}", () =>
        {
            _store.DeletePod(id);
            return Task.CompletedTask;
        }).ConfigureAwait(false);
        _pods.Remove(id);
        _pods.Release(name, id);
    }

    /// <summary>With the pod's gate held.</summary>
    private async Task StopAsync(PodEntry entry)
    {
        string id = entry.Record.Id;
        if (entry.Running is { } running)
        {
            entry.Stopping = true;
            await running.StopAsync(CancellationToken.None).ConfigureAwait(false);
            entry.Running = null;
            EndContainers(entry, 128 + Signals.Kill, "");
            await running.DisposeAsync().ConfigureAwait(false);
        }

        bool released = entry.Record.NetworkReleased;
        try
        {
            if (!released)
            {
                await _network.DetachAsync(id, CancellationToken.None).ConfigureAwait(false);
                released = true;
            }
        }
        finally
        {
            bool changed = Update(
                entry,
                pod => pod.Phase == PodPhase.NotReady && pod.NetworkReleased == released ? null
                    : pod with { Phase = PodPhase.NotReady, NetworkReleased = released, NetworkNamespace = released ? "" : pod.NetworkNamespace },
                fact: true);
            if (changed && entry.Stopping)
            {
                entry.Stopping = false;
                Publish(ChangeKind.Stopped, entry, null);
            }
        }
    }

    /// <summary>With the pod's gate held.</summary>
    private async Task RemoveAsync(PodEntry entry)
    {
        string id = entry.Record.Id;
        await StopAsync(entry).ConfigureAwait(false);
        foreach (ContainerEntry container in ContainersOf(entry).ToArray())
        {
            await AloneAsync(container, () => RemoveAsync(container)).ConfigureAwait(false);
        }

        await PodFolders.RemoveAsync(PodFolder(id)).ConfigureAwait(false);
        _store.DeletePod(id);
        entry.Removed = true;
        _pods.Remove(id);
        _pods.Release(NameOf(entry.Record.Config.Metadata), id);
        Publish(ChangeKind.Deleted, entry, null, removed: true);
    }

    private void OnEvent(PodEntry pod, HandlerEvent happened)
    {
        switch (happened)
        {
            case HandlerEvent.ContainerStopped stopped when _containers.Find(stopped.ContainerId) is { } container:
                EndContainer(container, stopped);
                break;
            case HandlerEvent.ContainerStarted started when _containers.Find(started.ContainerId) is { } container:
                if (Update(container, record => record.Phase != ContainerPhase.Created ? null : record with { Phase = ContainerPhase.Running, StartedAt = started.At }, fact: true))
                {
                    Publish(ChangeKind.Started, pod, container.Record);
                }

                break;
            case HandlerEvent.MemoryKill kill when _containers.Find(kill.ContainerId) is { } container:
                lock (container.Sync)
                {
                    container.Record = container.Record with { OutOfMemory = true };
                }

                break;
            case HandlerEvent.PodStopped stopped:
                EndPod(pod, stopped.Reason);
                break;
        }
    }

    /// <summary>A pod has ended by itself: its machine, or its shim.</summary>
    private void EndPod(PodEntry entry, string reason)
    {
        lock (entry.Sync)
        {
            entry.EndedReason ??= reason;
            if (entry.Record.Phase != PodPhase.Ready || entry.Stopping || entry.Running is null)
            {
                // Being made, or being stopped: who does that looks for itself.
                return;
            }
        }

        _log($"The pod {entry.Record.Config.Metadata.Name} ({entry.Record.Id}) has ended: {reason}");
        _ = AloneAsync(entry, async () =>
        {
            if (entry.Running is not { } running)
            {
                return;
            }

            entry.Running = null;
            EndContainers(entry, UnknownExitCode, reason);
            Update(entry, pod => pod with { Phase = PodPhase.NotReady, Reason = reason }, fact: true);
            Publish(ChangeKind.Stopped, entry, null);
            await CleanAsync($"Letting go of pod {entry.Record.Id}", async () => await running.DisposeAsync().ConfigureAwait(false)).ConfigureAwait(false);
            await CleanAsync($"Cleaning up after pod {entry.Record.Id}", () => entry.Handler.CleanUpAsync(Launch(entry), CancellationToken.None)).ConfigureAwait(false);
            await CleanAsync($"Giving back the network of pod {entry.Record.Id}", () => StopAsync(entry)).ConfigureAwait(false);
        });
    }

    /// <summary>All of a pod's containers have ended with it.</summary>
    private void EndContainers(PodEntry pod, int exitCode, string message)
    {
        foreach (ContainerEntry container in ContainersOf(pod))
        {
            EndContainer(container, new HandlerEvent.ContainerStopped(container.Record.Id, exitCode, DateTimeOffset.UtcNow, false, message));
        }
    }
}
