using Hearth.Cri.Protocol;
using Hearth.Runtime.Pods;
using Container = Hearth.Runtime.Pods.Container;

namespace Hearth.Programs.Daemon.Cri;

/// <summary>
/// ListPodSandboxMetrics: usage under the names that cAdvisor has given it, each metric one line of a table. What Hearth does
/// not know of a container has no line: a zero would be taken for a fact.
/// </summary>
internal static class PodMetrics
{
    private const double Nano = 1e9;

    private static readonly string[] s_container = ["id", "name", "image"];
    private static readonly string[] s_interface = ["id", "name", "image", "interface"];

    private static readonly ContainerMetric[] s_containers =
    [
        new("container_cpu_usage_seconds_total", "Seconds of CPU time.", MetricType.Counter, static use => (ulong)(use.Cpu.Nanoseconds / Nano)),
        new("container_memory_usage_bytes", "Memory in use, caches too.", MetricType.Gauge, static use => use.Memory.Usage),
        new("container_memory_working_set_bytes", "Memory in use that cannot be dropped at once.", MetricType.Gauge, static use => use.Memory.WorkingSet),
        new("container_memory_rss", "Anonymous memory.", MetricType.Gauge, static use => use.Memory.Rss),
        new("container_memory_failures_total", "Page faults that needed the disk.", MetricType.Counter, static use => use.Memory.MajorPageFaults),
        new("container_fs_usage_bytes", "Bytes of the writable layer.", MetricType.Gauge, static use => use.WritableBytes),
        new("container_processes", "Processes.", MetricType.Gauge, static use => use.Counters.GetValueOrDefault("processes", use.Pids)),
        new("container_last_seen", "When it was last looked at, in seconds since 1970.", MetricType.Gauge, static use => (ulong)use.TakenAt.ToUnixTimeSeconds()),
        new("container_start_time_seconds", "When it was started, in seconds since 1970.", MetricType.Gauge, static use => (ulong)(use.Container.StartedAt?.ToUnixTimeSeconds() ?? 0)),
        new("container_oom_events_total", "Whether the kernel has killed a process of it for want of memory.", MetricType.Counter, static use => use.Container.OutOfMemory ? 1UL : 0),
        new("container_spec_cpu_period", "Microseconds of a period of its CPU limit.", MetricType.Gauge, static use => NotNegative(use.Container.Resources.CpuPeriod)),
        new("container_spec_cpu_quota", "Microseconds a period that it may use.", MetricType.Gauge, static use => NotNegative(use.Container.Resources.CpuQuota)),
        new("container_spec_cpu_shares", "Its weight when CPUs are short.", MetricType.Gauge, static use => NotNegative(use.Container.Resources.CpuShares)),
        new("container_spec_memory_limit_bytes", "Its memory limit; 0 for none.", MetricType.Gauge, static use => use.Memory.Limit),
        new("container_spec_memory_swap_limit_bytes", "Memory and swap together; 0 for none.", MetricType.Gauge, static use => NotNegative(use.Container.Resources.MemorySwapBytes)),
    ];

    // What the kernel counts under other names, and by how much a count is divided (microseconds to seconds).
    private static readonly CounterMetric[] s_counters =
    [
        new("container_blkio_device_usage_total", "Bytes read from and written to disks.", MetricType.Counter, ["io.stat:rbytes", "io.stat:wbytes"]),
        new("container_cpu_cfs_periods_total", "Periods in which it had a CPU limit.", MetricType.Counter, ["cpu.stat:nr_periods"]),
        new("container_cpu_cfs_throttled_periods_total", "Periods in which it came to its limit.", MetricType.Counter, ["cpu.stat:nr_throttled"]),
        new("container_cpu_cfs_throttled_seconds_total", "Seconds that it was held back for.", MetricType.Counter, ["cpu.stat:throttled_usec"], 1_000_000),
        new("container_cpu_system_seconds_total", "Seconds of CPU time in the kernel.", MetricType.Counter, ["cpu.stat:system_usec"], 1_000_000),
        new("container_cpu_user_seconds_total", "Seconds of CPU time in its programs.", MetricType.Counter, ["cpu.stat:user_usec"], 1_000_000),
        new("container_file_descriptors", "Open files of its processes.", MetricType.Gauge, ["file_descriptors"]),
        new("container_fs_inodes_free", "Files that the file system of its writable layer has room for.", MetricType.Gauge, ["fs.inodes_free"]),
        new("container_fs_inodes_total", "Files that this file system can have.", MetricType.Gauge, ["fs.inodes"]),
        new("container_fs_limit_bytes", "Size of this file system.", MetricType.Gauge, ["fs.bytes"]),
        new("container_fs_reads_bytes_total", "Bytes read from disks.", MetricType.Counter, ["io.stat:rbytes"]),
        new("container_fs_reads_total", "Reads from disks.", MetricType.Counter, ["io.stat:rios"]),
        new("container_fs_writes_bytes_total", "Bytes written to disks.", MetricType.Counter, ["io.stat:wbytes"]),
        new("container_fs_writes_total", "Writes to disks.", MetricType.Counter, ["io.stat:wios"]),
        new("container_memory_cache", "Memory that holds files.", MetricType.Gauge, ["memory.stat:file"]),
        new("container_memory_failcnt", "How often it came to its memory limit.", MetricType.Counter, ["memory.events:max"]),
        new("container_memory_kernel_usage", "Memory that the kernel uses for it.", MetricType.Gauge, ["memory.stat:kernel"]),
        new("container_memory_mapped_file", "Memory that maps files.", MetricType.Gauge, ["memory.stat:file_mapped"]),
        new("container_memory_max_usage_bytes", "The most memory it ever used.", MetricType.Gauge, ["memory.peak"]),
        new("container_memory_swap", "Swap in use.", MetricType.Gauge, ["memory.swap.current"]),
        new("container_sockets", "Open sockets of its processes.", MetricType.Gauge, ["sockets"]),
        new("container_threads", "Threads.", MetricType.Gauge, ["threads"]),
        new("container_threads_max", "Threads it may have; 0 for no limit.", MetricType.Gauge, ["pids.max"]),
    ];

    private static readonly InterfaceMetric[] s_interfaces =
    [
        new("container_network_receive_bytes_total", "Bytes that came to the pod.", static use => use.ReceivedBytes),
        new("container_network_receive_errors_total", "Errors in what came.", static use => use.ReceivedErrors),
        new("container_network_receive_packets_dropped_total", "Packets that came and were dropped.", static use => use.ReceivedDropped),
        new("container_network_receive_packets_total", "Packets that came to the pod.", static use => use.ReceivedPackets),
        new("container_network_transmit_bytes_total", "Bytes that the pod sent.", static use => use.SentBytes),
        new("container_network_transmit_errors_total", "Errors in what it sent.", static use => use.SentErrors),
        new("container_network_transmit_packets_dropped_total", "Packets that it sent and that were dropped.", static use => use.SentDropped),
        new("container_network_transmit_packets_total", "Packets that the pod sent.", static use => use.SentPackets),
    ];

    public static IEnumerable<MetricDescriptor> Descriptors() =>
        s_containers.Select(static metric => Descriptor(metric.Name, metric.Help, s_container))
            .Concat(s_counters.Select(static metric => Descriptor(metric.Name, metric.Help, s_container)))
            .Concat(s_interfaces.Select(static metric => Descriptor(metric.Name, metric.Help, s_interface)));

    public static PodSandboxMetrics Of(PodUsage usage)
    {
        long time = ToCri.Time(usage.TakenAt);
        var pod = new PodSandboxMetrics { PodSandboxId = usage.Pod.Id };
        pod.Metrics.Add(
            from use in usage.Interfaces
            from metric in s_interfaces
            select Metric(metric.Name, time, MetricType.Counter, metric.Value(use), usage.Pod.Id, "POD", "", use.Name));
        pod.ContainerMetrics.Add(usage.Containers.Select(container =>
        {
            var metrics = new ContainerMetrics { ContainerId = container.Container.Id };
            Container of = container.Container;
            metrics.Metrics.Add(s_containers.Select(metric => Metric(metric.Name, time, metric.Type, metric.Value(container), of.Id, of.Config.Name, of.Config.Image)));
            metrics.Metrics.Add(
                from metric in s_counters
                where metric.Keys.All(container.Counters.ContainsKey)
                let sum = metric.Keys.Aggregate(0UL, (sum, key) => sum + container.Counters[key])
                select Metric(metric.Name, time, metric.Type, sum / metric.Divisor, of.Id, of.Config.Name, of.Config.Image));
            return metrics;
        }));
        return pod;
    }

    private static MetricDescriptor Descriptor(string name, string help, string[] labels) => new() { Name = name, Help = help, LabelKeys = { labels } };

    private static Metric Metric(string name, long time, MetricType type, ulong value, params string[] labels) =>
        new() { Name = name, Timestamp = time, MetricType = type, Value = ToCri.Number(value), LabelValues = { labels } };

    private static ulong NotNegative(long value) => (ulong)Math.Max(0, value);

    private sealed record ContainerMetric(string Name, string Help, MetricType Type, Func<ContainerUsage, ulong> Value);

    private sealed record CounterMetric(string Name, string Help, MetricType Type, string[] Keys, ulong Divisor = 1);

    private sealed record InterfaceMetric(string Name, string Help, Func<InterfaceUse, ulong> Value);
}
