using Hearth.Runtime.Handlers;
using Hearth.Runtime.State;

namespace Hearth.Runtime.Pods;

/// <summary>What a process does that comes after another: it finds what runs, and cleans away what does not.</summary>
public sealed partial class PodRuntime
{
    private async Task RecoverAsync(CancellationToken cancellation)
    {
        (IReadOnlyList<Pod> pods, IReadOnlyList<Container> containers) = _store.Load(_log);
        foreach (Pod pod in pods)
        {
            if (!_handlers.TryGetValue(pod.Handler, out IPodHandler? handler))
            {
                _log($"The pod {pod.Config.Metadata.Name} ({pod.Id}) is of the handler \"{pod.Handler}\", which this hearthd does not have: it is left as it is.");
                continue;
            }

            _pods.Add(pod.Id, new PodEntry(pod, handler));
            TryReserve(() => _pods.Reserve(NameOf(pod.Config.Metadata), pod.Id, pod.Config.Metadata.Name));
        }

        foreach (Container container in containers)
        {
            if (_pods.Find(container.PodId) is not { } pod)
            {
                // Its pod's record went first, or was damaged.
                _store.DeleteContainer(container.Id);
                continue;
            }

            var entry = new ContainerEntry(container, pod);
            if (container.Phase == ContainerPhase.Exited)
            {
                entry.Ended.TrySetResult();
            }

            _containers.Add(container.Id, entry);
            TryReserve(() => _containers.Reserve(NameOf(pod, container.Config), container.Id, container.Config.Name));
        }

        await Task.WhenAll(_pods.All.ToArray().Select(pod => RecoverAsync(pod, cancellation))).ConfigureAwait(false);
        await CleanAsync("Collecting what pods left that are no more", () => CollectAsync(pods, cancellation)).ConfigureAwait(false);
    }

    private async Task RecoverAsync(PodEntry pod, CancellationToken cancellation)
    {
        string name = $"{pod.Record.Config.Metadata.Name} ({pod.Record.Id})";
        await pod.Gate.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            switch (pod.Record.Phase)
            {
                case PodPhase.Starting:
                    _log($"The pod {name} was being made when hearthd ended: it is cleaned away.");
                    foreach (ContainerEntry container in ContainersOf(pod).ToArray())
                    {
                        await RemoveAsync(container).ConfigureAwait(false);
                    }

                    // The attachment may be there although the record does not say so.
                    pod.Record = pod.Record with { NetworkNamespace = pod.Record.NetworkReleased ? "" : "?" };
                    await UndoAsync(pod, NameOf(pod.Record.Config.Metadata)).ConfigureAwait(false);
                    return;
                case PodPhase.Ready:
                    await AdoptAsync(pod, name, cancellation).ConfigureAwait(false);
                    return;
                default:
                    EndContainers(pod, UnknownExitCode, "The pod had ended when hearthd came back.");
                    if (!pod.Record.NetworkReleased)
                    {
                        await CleanAsync($"Giving back the network of pod {name}", () => StopAsync(pod)).ConfigureAwait(false);
                    }

                    return;
            }
        }
        finally
        {
            pod.Gate.Release();
        }
    }

    private async Task AdoptAsync(PodEntry pod, string name, CancellationToken cancellation)
    {
        Container[] known = [.. ContainersOf(pod).Select(static entry => entry.Record)];
        IRunningPod? running = null;
        string reason = "The pod was gone when hearthd came back.";
        try
        {
            running = await pod.Handler.AdoptAsync(Launch(pod), known, cancellation).ConfigureAwait(false);
        }
        catch (Exception e) when (Failures.Of(e, "Finding the pod again") is PodException failure)
        {
            reason = failure.Message;
        }

        if (running is null)
        {
            reason = pod.EndedReason ?? reason;
            _log($"The pod {name} is not ready: {reason}");
            EndContainers(pod, UnknownExitCode, reason);
            Update(pod, record => record with { Phase = PodPhase.NotReady, Reason = reason }, fact: true);
            await CleanAsync($"Cleaning up after pod {name}", () => pod.Handler.CleanUpAsync(Launch(pod), CancellationToken.None)).ConfigureAwait(false);
            await CleanAsync($"Giving back the network of pod {name}", () => StopAsync(pod)).ConfigureAwait(false);
        }
        else
        {
            pod.Running = running;
            foreach (ContainerEntry container in ContainersOf(pod).ToArray())
            {
                HoldImage(container);
            }
        }

        foreach (ContainerEntry container in ContainersOf(pod).Where(static entry => entry.Record.Phase == ContainerPhase.Creating).ToArray())
        {
            await CleanAsync($"Removing the half-made container {container.Record.Id}", () => RemoveAsync(container)).ConfigureAwait(false);
        }

        if (running is not null && pod.EndedReason is { } ended)
        {
            // While it was being adopted, before it could be told of. The gate is held: this only begins it.
            EndPod(pod, ended);
        }
    }

    private void HoldImage(ContainerEntry container)
    {
        try
        {
            var holds = new List<IDisposable>();
            Hold(container.Record.ImageManifest, holds);
            container.Holds = holds;
        }
        catch (Exception e) when (Failures.Of(e, "Holding the image") is PodException failure)
        {
            _log($"The image of container {container.Record.Config.Name} cannot be held: {failure.Message}");
        }
    }

    /// <summary>Removes what belongs to no pod on record: attachments, namespaces, folders.</summary>
    private async Task CollectAsync(IReadOnlyList<Pod> recorded, CancellationToken cancellation)
    {
        // Pods of a handler that is not here are live too.
        HashSet<string> live = [.. recorded.Where(pod => _pods.Find(pod.Id) is { } entry ? entry.Record is { NetworkReleased: false } : !_handlers.ContainsKey(pod.Handler)).Select(static pod => pod.Id)];
        await _network.CollectAsync(live, _log, cancellation).ConfigureAwait(false);
        string folders = Path.Combine(_config.Daemon.State, PodFolders.Name);
        HashSet<string> known = [.. recorded.Select(static pod => pod.Id).Where(id => _pods.Find(id) is not null), .. recorded.Where(pod => !_handlers.ContainsKey(pod.Handler)).Select(static pod => pod.Id)];
        foreach (string folder in Directory.Exists(folders) ? Directory.GetDirectories(folders) : [])
        {
            string id = Path.GetFileName(folder);
            if (!known.Contains(id))
            {
                _log($"The folder {folder} is of a pod that is not on record: it is cleaned away.");
                foreach (IPodHandler handler in _handlers.Values)
                {
                    var stranger = new PodEntry(new Pod { Id = id, Handler = handler.Name, Config = new PodConfig { Metadata = new PodMetadata { Name = id } } }, handler);
                    await CleanAsync($"Cleaning the pod {id} away", () => handler.CleanUpAsync(Launch(stranger), cancellation)).ConfigureAwait(false);
                }

                await CleanAsync($"Removing {folder}", () => PodFolders.RemoveAsync(folder)).ConfigureAwait(false);
            }
        }
    }

    private void TryReserve(Action reserve)
    {
        try
        {
            reserve();
        }
        catch (PodException e)
        {
            // Two with one name cannot have come to be; if they did, both are kept, and the first has the name.
            _log(e.Message);
        }
    }
}
