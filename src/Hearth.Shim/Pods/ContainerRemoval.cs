using Hearth.Agent.Protocol;
using Hearth.Linux;
using Hearth.Shim.Bootstrap;
using Hearth.Shim.Machine;
using Hearth.Shim.Protocol.Tasks;
using Hearth.Ttrpc;

namespace Hearth.Shim.Pods;

/// <summary>Takes away processes and containers that have ended. Thread: any.</summary>
internal static class ContainerRemoval
{
    /// <summary>Forgets an added process.</summary>
    /// <exception cref="TtrpcException">FailedPrecondition: it runs.</exception>
    public static async Task<ProcessExit> RemoveExecAsync(Pod pod, PodContainer container, PodProcess process)
    {
        ThrowIfRunning(process);
        container.Execs.TryRemove(process.ExecId, out _);
        if (process.Phase == ProcessPhase.Stopped && pod is { IsReady: true, MachinePaused: false })
        {
            try
            {
                await pod.Agent.RemoveProcessAsync(new RemoveProcessRequest { ContainerId = container.Id, ExecId = process.ExecId }).ConfigureAwait(false);
            }
            catch (TtrpcException e)
            {
                pod.Log.Debug($"The process \"{process.ExecId}\" of \"{container.Id}\" stays in the guest: {e.Message}");
            }
        }

        if (process.Streams is not null)
        {
            await process.Streams.DisposeAsync().ConfigureAwait(false);
        }

        // One that has stopped is being told of: that comes before the answer that it is gone.
        return process.Phase == ProcessPhase.Stopped ? await process.Exited.ConfigureAwait(false) : new ProcessExit(0, DateTimeOffset.UtcNow);
    }

    /// <summary>Removes a container that does not run; the machine with the pod's sandbox, or where there is none with the last container.</summary>
    /// <exception cref="TtrpcException">FailedPrecondition: it runs.</exception>
    public static async Task<ProcessExit> RemoveAsync(Pod pod, PodContainer container)
    {
        ThrowIfRunning(container.Init);
        // One that was never started has no end of its own.
        container.Init.TellStart();
        if (pod.GoesOnWithout(container.Id) || (pod.HasSandbox && container.Kind == BundleKind.Member))
        {
            await RemoveFromGuestAsync(pod, container.Id).ConfigureAwait(false);
        }
        else
        {
            await pod.EndMachineAsync("The pod was removed.").ConfigureAwait(false);
        }

        foreach (PodProcess process in container.Execs.Values.Append(container.Init))
        {
            if (process.Streams is not null)
            {
                await process.Streams.DisposeAsync().ConfigureAwait(false);
            }
        }

        await pod.EndProcessAsync(container, container.Init, new ProcessExit(ProcessExit.Killed, DateTimeOffset.UtcNow)).ConfigureAwait(false);
        ProcessExit exit = await container.Init.Exited.ConfigureAwait(false);
        await container.Hooks.RunStoppedAsync().ConfigureAwait(false);
        pod.Remove(container);
        if (pod.IsEmpty)
        {
            // Of two that went at a time, each went on for the other's sake.
            await pod.EndMachineAsync("The pod was removed.").ConfigureAwait(false);
        }

        pod.Events.Publish("/tasks/delete", new TaskDelete
        {
            ContainerId = container.Id,
            Pid = container.Init.HostPid,
            ExitStatus = exit.Status,
            ExitedAt = exit.AtTimestamp,
        });
        return exit;
    }

    /// <summary>Takes a container out of the guest, and what it had out of the machine. What fails is only told.</summary>
    public static async Task RemoveFromGuestAsync(Pod pod, string id)
    {
        if (!pod.IsReady)
        {
            return;
        }

        try
        {
            IPodMachine machine = pod.Machine;
            await pod.Agent.RemoveContainerAsync(new RemoveContainerRequest { ContainerId = id }).ConfigureAwait(false);
            await machine.DetachAsync(id).ConfigureAwait(false);
        }
        catch (Exception e) when (e is TtrpcException or HearthException or IOException)
        {
            pod.Log.Error($"The container \"{id}\" was not removed from the guest wholly: {e.Message}");
        }
    }

    private static void ThrowIfRunning(PodProcess process)
    {
        if (process.Phase == ProcessPhase.Running)
        {
            string name = process.ExecId.Length == 0 ? process.ContainerId : process.ExecId;
            throw new TtrpcException(StatusCode.FailedPrecondition, $"cannot delete a running process {name}");
        }
    }
}
