using System.Globalization;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using V1 = Hearth.Shim.Protocol.Metrics1;
using V2 = Hearth.Shim.Protocol.Metrics2;

namespace Hearth.Shim.Service;

/// <summary>What a container uses, in the form that the manager reads on a host like this one.</summary>
internal static class Metrics
{
    private const ulong Nanoseconds = 1000;

    /// <summary>Whether managers on this host count by cgroup 2.</summary>
    public static bool HostHasCgroup2 { get; } = File.Exists("/sys/fs/cgroup/cgroup.controllers");

    /// <param name="stats">As the guest's agent counts.</param>
    /// <param name="cgroup2">Which form.</param>
    public static Any From(Hearth.Agent.Protocol.StatsResponse stats, bool cgroup2)
    {
        IMessage metrics = cgroup2 ? ToV2(stats) : ToV1(stats);
        return new Any { TypeUrl = metrics.Descriptor.FullName, Value = metrics.ToByteString() };
    }

    /// <summary>What a process of the host uses, as the agent counts: a pod's monitor, for a sandbox in which nothing runs.</summary>
    /// <exception cref="IOException">It has ended.</exception>
    public static Hearth.Agent.Protocol.StatsResponse OfHostProcess(uint pid)
    {
        const int userTicks = 11;
        const int systemTicks = 12;
        const ulong microsecondsATick = 10_000;
        // After the name, which may have anything in it: proc(5).
        string stat = File.ReadAllText($"/proc/{pid}/stat");
        string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        ulong user = ulong.Parse(fields[userTicks], CultureInfo.InvariantCulture) * microsecondsATick;
        ulong system = ulong.Parse(fields[systemTicks], CultureInfo.InvariantCulture) * microsecondsATick;
        string resident = File.ReadLines($"/proc/{pid}/status").FirstOrDefault(static line => line.StartsWith("VmRSS:", StringComparison.Ordinal)) ?? "VmRSS: 0 kB";
        ulong bytes = ulong.Parse(resident.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) << 10;
        return new Hearth.Agent.Protocol.StatsResponse
        {
            TakenAt = Timestamp.FromDateTimeOffset(DateTimeOffset.UtcNow),
            Cpu = new Hearth.Agent.Protocol.CpuStats { UsageMicroseconds = user + system, UserMicroseconds = user, SystemMicroseconds = system },
            Memory = new Hearth.Agent.Protocol.MemoryStats { Usage = bytes, WorkingSet = bytes, Anonymous = bytes },
            Pids = new Hearth.Agent.Protocol.PidsStats { Current = 1 },
        };
    }

    private static V2.Metrics ToV2(Hearth.Agent.Protocol.StatsResponse stats) => new()
    {
        Pids = new V2.PidsStat { Current = stats.Pids.Current, Limit = stats.Pids.Limit },
        Cpu = new V2.CPUStat
        {
            UsageUsec = stats.Cpu.UsageMicroseconds,
            UserUsec = stats.Cpu.UserMicroseconds,
            SystemUsec = stats.Cpu.SystemMicroseconds,
            NrThrottled = stats.Cpu.ThrottledPeriods,
            ThrottledUsec = stats.Cpu.ThrottledMicroseconds,
        },
        Memory = new V2.MemoryStat
        {
            Anon = stats.Memory.Anonymous,
            File = stats.Memory.File,
            // What can be dropped at once: readers take it from the usage for the working set.
            InactiveFile = stats.Memory.Usage - stats.Memory.WorkingSet,
            Pgfault = stats.Memory.PageFaults,
            Pgmajfault = stats.Memory.MajorPageFaults,
            Usage = stats.Memory.Usage,
            UsageLimit = stats.Memory.Limit == 0 ? ulong.MaxValue : stats.Memory.Limit,
        },
        MemoryEvents = new V2.MemoryEvents { OomKill = stats.Memory.OomKills },
    };

    private static V1.Metrics ToV1(Hearth.Agent.Protocol.StatsResponse stats) => new()
    {
        Pids = new V1.PidsStat { Current = stats.Pids.Current, Limit = stats.Pids.Limit },
        Cpu = new V1.CPUStat
        {
            Usage = new V1.CPUUsage
            {
                Total = stats.Cpu.UsageMicroseconds * Nanoseconds,
                User = stats.Cpu.UserMicroseconds * Nanoseconds,
                Kernel = stats.Cpu.SystemMicroseconds * Nanoseconds,
            },
            Throttling = new V1.Throttle { ThrottledPeriods = stats.Cpu.ThrottledPeriods, ThrottledTime = stats.Cpu.ThrottledMicroseconds * Nanoseconds },
        },
        Memory = new V1.MemoryStat
        {
            Cache = stats.Memory.File,
            Rss = stats.Memory.Anonymous,
            PgFault = stats.Memory.PageFaults,
            PgMajFault = stats.Memory.MajorPageFaults,
            InactiveFile = stats.Memory.Usage - stats.Memory.WorkingSet,
            TotalInactiveFile = stats.Memory.Usage - stats.Memory.WorkingSet,
            Usage = new V1.MemoryEntry { Usage = stats.Memory.Usage, Limit = stats.Memory.Limit == 0 ? ulong.MaxValue : stats.Memory.Limit },
        },
    };
}
