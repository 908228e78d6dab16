using System.Globalization;

namespace Hearth.Oci.Runtime;

/// <summary>
/// Limits as the files of a cgroup of version 2 and what is written to each, in order. The specification counts as version 1 does.
/// Source: linux Documentation/admin-guide/cgroup-v2.rst; runtime-spec config-linux.md, Control groups.
/// </summary>
public static class CgroupLimits
{
    /// <summary>Not there where the kernel has no swap, and then not needed.</summary>
    public const string Swap = "memory.swap.max";

    private const ulong LeastShares = 2;
    private const ulong MostShares = 262_144;
    private const ulong UsualPeriod = 100_000;

    /// <summary>What is said; what is not said is not among it.</summary>
    /// <exception cref="FormatException">A name in <see cref="ResourcesSpec.Unified"/> is no limit's.</exception>
    public static IEnumerable<(string File, string Value)> Of(ResourcesSpec resources)
    {
        if (resources.Unified?.Keys.FirstOrDefault(static file => file.Contains('/') || file.StartsWith("cgroup.", StringComparison.Ordinal)) is { } stranger)
        {
            throw new FormatException($"\"{stranger}\" is no limit of a cgroup.");
        }

        return
        [
            .. OfCpu(resources.Cpu ?? new CpuSpec()),
            .. OfMemory(resources.Memory ?? new MemorySpec()),
            .. resources.Pids is { } pids ? [("pids.max", pids.Limit > 0 ? Text(pids.Limit) : "max")] : Array.Empty<(string, string)>(),
            .. resources.HugepageLimits.Select(static limit => ($"hugetlb.{limit.PageSize}.max", limit.Limit.ToString(CultureInfo.InvariantCulture))),
            .. (resources.Unified ?? new Dictionary<string, string>()).Select(static pair => (pair.Key, pair.Value)),
        ];
    }

    private static IEnumerable<(string File, string Value)> OfCpu(CpuSpec cpu)
    {
        if (cpu.Shares is > 0 and var shares)
        {
            // The mapping that all runtimes use: 2 to 262144 becomes 1 to 10000.
            yield return ("cpu.weight", Text((long)(1 + ((Math.Clamp(shares, LeastShares, MostShares) - LeastShares) * 9999 / (MostShares - LeastShares)))));
        }

        if (cpu.Quota is not null || cpu.Period is not null)
        {
            string quota = cpu.Quota is > 0 and var microseconds ? Text(microseconds) : "max";
            yield return ("cpu.max", $"{quota} {(cpu.Period ?? UsualPeriod).ToString(CultureInfo.InvariantCulture)}");
        }

        if (cpu.Idle is { } idle)
        {
            yield return ("cpu.idle", Text(idle));
        }

        if (!string.IsNullOrEmpty(cpu.Cpus))
        {
            yield return ("cpuset.cpus", cpu.Cpus);
        }

        if (!string.IsNullOrEmpty(cpu.Mems))
        {
            yield return ("cpuset.mems", cpu.Mems);
        }
    }

    private static IEnumerable<(string File, string Value)> OfMemory(MemorySpec memory)
    {
        if (memory.Limit is { } limit && limit != 0)
        {
            yield return ("memory.max", Bytes(limit));
        }

        if (memory.Reservation is { } reservation && reservation != 0)
        {
            yield return ("memory.low", Bytes(reservation));
        }

        if (memory.Swap is { } both && both != 0)
        {
            yield return (Swap, both < 0 ? "max" : Text(Math.Max(0, both - Math.Max(0, memory.Limit ?? 0))));
        }
    }

    private static string Bytes(long bytes) => bytes < 0 ? "max" : Text(bytes);

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}
