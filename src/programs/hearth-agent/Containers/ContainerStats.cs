using Google.Protobuf.WellKnownTypes;
using Hearth.Agent.Protocol;
using Hearth.Linux;

namespace Hearth.Programs.Agent.Containers;

/// <summary>What a container uses, out of its cgroup.</summary>
internal static class ContainerStats
{
    private const ulong BlockBytes = 512;

    public static StatsResponse Take(Cgroup cgroup, string? writableLayer)
    {
        Dictionary<string, ulong> cpu = cgroup.ReadNumbers("cpu.stat");
        Dictionary<string, ulong> memory = cgroup.ReadNumbers("memory.stat");
        ulong usage = cgroup.ReadNumber("memory.current");
        ulong inactive = memory.GetValueOrDefault("inactive_file");
        var stats = new StatsResponse
        {
            TakenAt = Timestamp.FromDateTimeOffset(DateTimeOffset.UtcNow),
            Cpu = new CpuStats
            {
                UsageMicroseconds = cpu.GetValueOrDefault("usage_usec"),
                UserMicroseconds = cpu.GetValueOrDefault("user_usec"),
                SystemMicroseconds = cpu.GetValueOrDefault("system_usec"),
                ThrottledPeriods = cpu.GetValueOrDefault("nr_throttled"),
                ThrottledMicroseconds = cpu.GetValueOrDefault("throttled_usec"),
            },
            Memory = new MemoryStats
            {
                Usage = usage,
                WorkingSet = usage > inactive ? usage - inactive : 0,
                Anonymous = memory.GetValueOrDefault("anon"),
                File = memory.GetValueOrDefault("file"),
                Limit = cgroup.ReadNumber("memory.max"),
                PageFaults = memory.GetValueOrDefault("pgfault"),
                MajorPageFaults = memory.GetValueOrDefault("pgmajfault"),
                OomKills = cgroup.ReadNumbers("memory.events").GetValueOrDefault("oom_kill"),
            },
            Pids = new PidsStats { Current = cgroup.ReadNumber("pids.current"), Limit = cgroup.ReadNumber("pids.max") },
            WritableLayer = writableLayer is null ? new FilesystemStats() : Measure(writableLayer),
        };
        stats.Counters.Add(CgroupCounters.Of(cgroup.Path, cgroup.Pids(), writableLayer));
        return stats;
    }

    // The layer's own files are counted: the file system below may be shared, or its own bookkeeping large.
    private static FilesystemStats Measure(string layer)
    {
        var stats = new FilesystemStats();
        var everything = new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.None, IgnoreInaccessible = true };
        foreach (FileSystemInfo entry in new DirectoryInfo(layer).EnumerateFileSystemInfos("*", everything))
        {
            stats.UsedInodes++;
            if (entry is FileInfo { LinkTarget: null } file)
            {
                stats.UsedBytes += ((ulong)file.Length + BlockBytes - 1) / BlockBytes * BlockBytes;
            }
        }

        return stats;
    }
}
