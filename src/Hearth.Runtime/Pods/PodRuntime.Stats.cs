using Hearth.Runtime.Handlers;
using Hearth.Runtime.State;

namespace Hearth.Runtime.Pods;

/// <summary>What pods and containers use.</summary>
public sealed partial class PodRuntime
{
    public async Task<ContainerUsage> ContainerStatsAsync(string id, CancellationToken cancellation = default)
    {
        ContainerEntry entry = Visible(_containers.Get(id));
        IRunningPod running = RunningOf(entry);
        PodSample sample = await SampleAsync(running, entry.Pod, cancellation).ConfigureAwait(false);
        return sample.Containers.FirstOrDefault(one => one.Id == entry.Record.Id) is { } found
            ? UsageOf(entry, found, sample.TakenAt)
            : throw new PodException(PodFault.FailedPrecondition, $"The container {entry.Record.Config.Name} does not run.");
    }

    /// <summary>Of the running containers among those that the filter means.</summary>
    public async Task<IReadOnlyList<ContainerUsage>> ListContainerStatsAsync(ContainerFilter? filter = null, CancellationToken cancellation = default)
    {
        HashSet<string> wanted = [.. ListContainers((filter ?? new ContainerFilter()) with { Phase = ContainerPhase.Running }).Select(static container => container.Id)];
        IEnumerable<PodEntry> pods = wanted.Select(id => _containers.Find(id)?.Pod).OfType<PodEntry>().Distinct();
        IReadOnlyList<PodUsage>[] found = await Task.WhenAll(pods.Select(pod => TryUsageAsync(pod, cancellation))).ConfigureAwait(false);
        return [.. found.SelectMany(static pod => pod).SelectMany(static pod => pod.Containers).Where(usage => wanted.Contains(usage.Container.Id))];
    }

    public async Task<PodUsage> PodStatsAsync(string id, CancellationToken cancellation = default)
    {
        PodEntry entry = Visible(_pods.Get(id));
        return await UsageAsync(entry, RunningOf(entry), cancellation).ConfigureAwait(false);
    }

    /// <summary>Of the ready pods among those that the filter means.</summary>
    public async Task<IReadOnlyList<PodUsage>> ListPodStatsAsync(PodFilter? filter = null, CancellationToken cancellation = default)
    {
        IEnumerable<PodEntry> pods = ListPods((filter ?? new PodFilter()) with { Ready = true }).Select(pod => _pods.Find(pod.Id)).OfType<PodEntry>();
        IReadOnlyList<PodUsage>[] found = await Task.WhenAll(pods.Select(pod => TryUsageAsync(pod, cancellation))).ConfigureAwait(false);
        return [.. found.SelectMany(static usage => usage)];
    }

    /// <summary>Nothing for a pod that ends meanwhile: one pod's trouble must not hide the others.</summary>
    private async Task<IReadOnlyList<PodUsage>> TryUsageAsync(PodEntry entry, CancellationToken cancellation)
    {
        if (entry.Running is not { } running)
        {
            return [];
        }

        try
        {
            return [await UsageAsync(entry, running, cancellation).ConfigureAwait(false)];
        }
        catch (PodException)
        {
            return [];
        }
    }

    private async Task<PodUsage> UsageAsync(PodEntry entry, IRunningPod running, CancellationToken cancellation)
    {
        PodSample sample = await SampleAsync(running, entry, cancellation).ConfigureAwait(false);
        ContainerUsage[] containers =
        [
            .. sample.Containers.Select(one => _containers.Find(one.Id) is { } container ? UsageOf(container, one, sample.TakenAt) : null).OfType<ContainerUsage>(),
        ];
        ulong limit = (ulong)Math.Max(0, entry.Record.Config.Resources?.MemoryBytes ?? 0);
        return new PodUsage
        {
            Pod = entry.Record,
            TakenAt = sample.TakenAt,
            Cpu = entry.Cpu.Take(sample.TakenAt, Sum(sample, static one => one.CpuNanoseconds)),
            Memory = new MemoryUse
            {
                Usage = Sum(sample, static one => one.Memory.Usage),
                WorkingSet = Sum(sample, static one => one.Memory.WorkingSet),
                Rss = Sum(sample, static one => one.Memory.Rss),
                Limit = limit,
                PageFaults = Sum(sample, static one => one.Memory.PageFaults),
                MajorPageFaults = Sum(sample, static one => one.Memory.MajorPageFaults),
            },
            Pids = Sum(sample, static one => one.Pids),
            Interfaces = sample.Interfaces,
            Containers = containers,
            HostMemoryBytes = sample.HostMemoryBytes,
            HostCpuNanoseconds = sample.HostCpuNanoseconds,
        };
    }

    private static async Task<PodSample> SampleAsync(IRunningPod running, PodEntry pod, CancellationToken cancellation)
    {
        try
        {
            return await running.StatsAsync(cancellation).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            throw Failures.Of(e, $"Reading the statistics of pod {pod.Record.Config.Metadata.Name}");
        }
    }

    private static ulong Sum(PodSample sample, Func<ContainerSample, ulong> part) => sample.Containers.Aggregate(0UL, (sum, one) => sum + part(one));

    private ContainerUsage UsageOf(ContainerEntry entry, ContainerSample sample, DateTimeOffset at) => new()
    {
        Container = entry.Record,
        TakenAt = at,
        Cpu = entry.Cpu.Take(at, sample.CpuNanoseconds),
        Memory = sample.Memory,
        Pids = sample.Pids,
        WritableBytes = sample.WritableBytes,
        WritableInodes = sample.WritableInodes,
        WritableMountpoint = _config.Daemon.State,
        Counters = sample.Counters,
    };
}
