using System.Text.Json;
using Google.Protobuf;
using Hearth.Agent.Protocol;
using Hearth.Linux;
using Hearth.Oci.Runtime;
using Hearth.Shim.Bootstrap;
using Hearth.Shim.Pods;
using Hearth.Shim.Protocol.Tasks;
using Hearth.Shim.Specs;
using Hearth.Ttrpc;
using StatsResponse = Hearth.Shim.Protocol.Tasks.StatsResponse;

namespace Hearth.Shim.Service;

/// <summary>What containers may use and do use; stopping them where they stand. Thread: any.</summary>
internal sealed class ResourceControl(Pod pod)
{
    /// <summary>Stops, or lets go on: the machine, or one container among several.</summary>
    public async Task SetPausedAsync(string id, bool paused, CancellationToken cancellation)
    {
        PodContainer container = pod.Get(id);
        if (container.Init.Phase != ProcessPhase.Running || container.Paused == paused)
        {
            throw new TtrpcException(StatusCode.FailedPrecondition, $"The container \"{id}\" is {(container.Paused ? "paused" : "not in a state to be paused or resumed")}.");
        }

        if (container.Kind == BundleKind.Member || (paused ? pod.GoesOnWithout(id) : !pod.MachinePaused))
        {
            await pod.Agent.SetFrozenAsync(new SetFrozenRequest { ContainerId = id, Frozen = paused }, cancellation).ConfigureAwait(false);
        }
        else if (paused)
        {
            await pod.Machine.PauseAsync(cancellation).ConfigureAwait(false);
            pod.MachinePaused = true;
        }
        else
        {
            await pod.Machine.ResumeAsync(cancellation).ConfigureAwait(false);
            pod.MachinePaused = false;
        }

        container.Paused = paused;
        if (paused)
        {
            pod.Events.Publish("/tasks/paused", new TaskPaused { ContainerId = id });
        }
        else
        {
            pod.Events.Publish("/tasks/resumed", new TaskResumed { ContainerId = id });
        }
    }

    public async Task<StatsResponse> StatsAsync(string id, CancellationToken cancellation)
    {
        PodContainer container = pod.Get(id);
        return new StatsResponse { Stats = Metrics.From(await CountAsync(container, cancellation).ConfigureAwait(false), Metrics.HostHasCgroup2) };
    }

    /// <param name="container">Whose limits.</param>
    /// <param name="json">linux.resources.</param>
    /// <param name="cancellation">Ends the wait.</param>
    public async Task UpdateAsync(PodContainer container, byte[] json, CancellationToken cancellation)
    {
        ResourcesSpec resources = Parse(json);
        if (container.Kind != BundleKind.Member)
        {
            await UpdateMachineAsync(resources, cancellation).ConfigureAwait(false);
        }

        if (container.Kind != BundleKind.Sandbox)
        {
            List<string> notes = [];
            byte[] guest = JsonSerializer.SerializeToUtf8Bytes(GuestSpec.ResourcesOf(resources, notes) with { Devices = [] }, RuntimeJson.Default.ResourcesSpec);
            await pod.Agent.UpdateResourcesAsync(
                new UpdateResourcesRequest { ContainerId = container.Id, Resources = ByteString.CopyFrom(guest) }, cancellation).ConfigureAwait(false);
            notes.ForEach(note => pod.Log.Info($"{container.Id}: {note}"));
        }
    }

    /// <summary>What the whole pod may use now. A machine does not shrink: limits below its size are no error.</summary>
    public async Task UpdateMachineAsync(ResourcesSpec resources, CancellationToken cancellation)
    {
        MachineSize wanted = MachineSize.Of(resources.Cpu?.Quota, (long?)resources.Cpu?.Period, resources.Memory?.Limit, pod.Config.Microvm);
        MachineSize size = pod.Size;
        var larger = new MachineSize(
            resources.Cpu?.Quota is > 0 ? Math.Max(size.Vcpus, wanted.Vcpus) : size.Vcpus,
            resources.Memory?.Limit is > 0 ? Math.Max(size.MemoryMib, wanted.MemoryMib) : size.MemoryMib);
        if (larger == size)
        {
            return;
        }

        try
        {
            await pod.Machine.UpdateAsync(larger.Vcpus, larger.MemoryMib, cancellation).ConfigureAwait(false);
            pod.HasSize(larger);
        }
        catch (HearthException e)
        {
            throw new TtrpcException(StatusCode.FailedPrecondition, e.Message, e);
        }
    }

    /// <exception cref="TtrpcException">InvalidArgument.</exception>
    public static ResourcesSpec Parse(ReadOnlySpan<byte> json)
    {
        try
        {
            return JsonSerializer.Deserialize(json, RuntimeJson.Default.ResourcesSpec) ?? new ResourcesSpec();
        }
        catch (JsonException e)
        {
            throw new TtrpcException(StatusCode.InvalidArgument, $"These are no OCI resources: {e.Message}", e);
        }
    }

    private async Task<Hearth.Agent.Protocol.StatsResponse> CountAsync(PodContainer container, CancellationToken cancellation)
    {
        if (container.Init.Phase == ProcessPhase.Stopped)
        {
            throw new TtrpcException(StatusCode.NotFound, $"The container \"{container.Id}\" does not run: not found.");
        }

        if (container.Kind != BundleKind.Sandbox)
        {
            return await pod.Agent.StatsAsync(new Hearth.Agent.Protocol.StatsRequest { ContainerId = container.Id }, cancellation).ConfigureAwait(false);
        }

        try
        {
            return Metrics.OfHostProcess(pod.MonitorPid);
        }
        catch (IOException e)
        {
            throw new TtrpcException(StatusCode.NotFound, $"The pod's machine has ended: {e.Message}", e);
        }
    }
}
