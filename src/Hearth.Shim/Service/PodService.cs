using Google.Protobuf.WellKnownTypes;
using Hearth.Agent.Protocol;
using Hearth.Shim.Bootstrap;
using Hearth.Shim.Pods;
using Hearth.Shim.Protocol;
using Hearth.Ttrpc;

namespace Hearth.Shim.Service;

/// <summary>What Hearth's own managers ask beside the task service. Thread: any.</summary>
internal sealed class PodService(Pod pod)
{
    private static readonly Empty s_empty = new();

    private readonly ResourceControl _resources = new(pod);

    public static TtrpcService Create(PodService service) => new TtrpcService(TaskServices.Pod)
        .Unary<Empty, PodStatus>("Status", Empty.Parser, (_, _) => Task.FromResult(service.Status()))
        .ServerStream<Empty, PodEvent>("Events", Empty.Parser, (_, writer, call) => service.EventsAsync(writer, call.Cancellation))
        .ServerStream<RunProcessRequest, RunProcessEvent>("RunProcess", RunProcessRequest.Parser, service.RunProcessAsync)
        .Unary<ReopenLogRequest, Empty>("ReopenLog", ReopenLogRequest.Parser, (request, _) => service.ReopenLog(request))
        .Unary<Empty, PodStats>("Stats", Empty.Parser, (_, call) => service.StatsAsync(call.Cancellation))
        .Unary<UpdatePodResourcesRequest, Empty>("UpdateResources", UpdatePodResourcesRequest.Parser, service.UpdateResourcesAsync);

    private PodStatus Status()
    {
        var status = new PodStatus
        {
            PodId = pod.Options.PodId,
            MonitorPid = pod.MonitorPid,
            Ready = pod.IsReady,
            Reason = pod.Reason,
            Vcpus = (uint)pod.Size.Vcpus,
            MemoryMib = (uint)pod.Size.MemoryMib,
            MonitorVersion = pod.MonitorVersion,
        };
        if (pod.Jail is { } jail)
        {
            status.Jail = new Jail
            {
                Uid = jail.User,
                Gid = jail.Group,
                Root = jail.Root,
                Cgroups = { jail.Cgroups },
                MemoryLimit = (ulong)jail.MemoryLimit,
                NetworkNamespace = jail.NetworkNamespace,
                PidNamespace = jail.PidNamespace,
                Threads = (uint)jail.Threads,
                FilteredThreads = (uint)jail.FilteredThreads,
                NoNewPrivileges = jail.NoNewPrivileges,
                Capabilities = jail.Capabilities,
            };
        }

        status.Containers.AddRange(Members().Select(static container => container.State()));
        return status;
    }

    private Task EventsAsync(ResponseWriter<PodEvent> writer, CancellationToken cancellation) => pod.Feed.ForwardAsync(Ended, writer, cancellation);

    private IEnumerable<PodEvent> Ended()
    {
        foreach (PodContainer container in Members())
        {
            if (container.Init.Phase == ProcessPhase.Stopped)
            {
                yield return new PodEvent { ContainerStopped = container.State() };
            }
        }

        if (!pod.IsReady && !pod.IsEmpty)
        {
            yield return new PodEvent { MachineStopped = pod.Reason };
        }
    }

    private async Task RunProcessAsync(RunProcessRequest request, ResponseWriter<RunProcessEvent> writer, CallContext call)
    {
        PodContainer container = pod.Get(request.ContainerId);
        if (container.Paused || container.Init.Phase != ProcessPhase.Running || container.Kind == BundleKind.Sandbox)
        {
            throw new TtrpcException(StatusCode.FailedPrecondition, $"The container \"{request.ContainerId}\" is not running.");
        }

        using TtrpcStream<RunProcessEvent> events = await pod.Agent.RunProcessAsync(request, call.Cancellation).ConfigureAwait(false);
        await foreach (RunProcessEvent happened in events.ReadAllAsync(call.Cancellation).ConfigureAwait(false))
        {
            await writer.WriteAsync(happened).ConfigureAwait(false);
        }
    }

    private Task<Empty> ReopenLog(ReopenLogRequest request)
    {
        PodContainer container = pod.Get(request.ContainerId);
        if (container.Init.Streams is not { } streams || container.Init.Phase == ProcessPhase.Stopped)
        {
            throw new TtrpcException(StatusCode.FailedPrecondition, $"The container \"{request.ContainerId}\" is not running.");
        }

        streams.ReopenLog();
        return Task.FromResult(s_empty);
    }

    private async Task<PodStats> StatsAsync(CancellationToken cancellation)
    {
        AllStatsResponse all = await pod.Agent.AllStatsAsync(cancellation).ConfigureAwait(false);
        var stats = new PodStats { TakenAt = Timestamp.FromDateTimeOffset(DateTimeOffset.UtcNow) };
        stats.Containers.AddRange(all.Containers.Select(static one => new ContainerStats { ContainerId = one.ContainerId, Stats = one.Stats }));
        stats.Interfaces.AddRange(all.Interfaces.Where(static one => one.Name != "lo").Select(static one => new InterfaceStats
        {
            Name = one.Name,
            ReceivedBytes = one.ReceivedBytes,
            ReceivedErrors = one.ReceivedErrors,
            SentBytes = one.SentBytes,
            SentErrors = one.SentErrors,
            ReceivedPackets = one.ReceivedPackets,
            ReceivedDropped = one.ReceivedDropped,
            SentPackets = one.SentPackets,
            SentDropped = one.SentDropped,
        }));
        try
        {
            StatsResponse host = Metrics.OfHostProcess(pod.MonitorPid);
            stats.HostMemoryBytes = host.Memory.Usage;
            stats.HostCpuMicroseconds = host.Cpu.UsageMicroseconds;
        }
        catch (IOException)
        {
            // The monitor has just ended.
        }

        return stats;
    }

    private async Task<Empty> UpdateResourcesAsync(UpdatePodResourcesRequest request, CallContext call)
    {
        await _resources.UpdateMachineAsync(ResourceControl.Parse(request.Resources.Span), call.Cancellation).ConfigureAwait(false);
        return s_empty;
    }

    // The sandbox is the pod itself, not one of its containers.
    private IEnumerable<PodContainer> Members() => pod.Containers.Where(static container => container.Kind != BundleKind.Sandbox);
}
