using Hearth.Oci.Runtime;
using Hearth.Runtime.Pods;

namespace Hearth.Runtime.Specs;

/// <summary>Limits as a runtime takes them.</summary>
internal static class ResourceSpecs
{
    private static readonly DeviceRuleSpec s_noDevices = new() { Allow = false, Access = "rwm" };
    private static readonly DeviceRuleSpec s_allDevices = new() { Allow = true, Access = "rwm" };

    /// <summary>What is 0 or empty is not said.</summary>
    public static ResourcesSpec Of(LinuxResources resources) => new()
    {
        Memory = resources.MemoryBytes == 0 && resources.MemorySwapBytes == 0 ? null : new MemorySpec
        {
            Limit = resources.MemoryBytes == 0 ? null : resources.MemoryBytes,
            Swap = resources.MemorySwapBytes == 0 ? null : resources.MemorySwapBytes,
        },
        Cpu = resources is { CpuShares: 0, CpuQuota: 0, CpuPeriod: 0, CpusetCpus: "", CpusetMems: "" } ? null : new CpuSpec
        {
            Shares = resources.CpuShares <= 0 ? null : (ulong)resources.CpuShares,
            Quota = resources.CpuQuota == 0 ? null : resources.CpuQuota,
            Period = resources.CpuPeriod <= 0 ? null : (ulong)resources.CpuPeriod,
            Cpus = resources.CpusetCpus.Length == 0 ? null : resources.CpusetCpus,
            Mems = resources.CpusetMems.Length == 0 ? null : resources.CpusetMems,
        },
        HugepageLimits = [.. resources.HugepageLimits.OrderBy(static pair => pair.Key, StringComparer.Ordinal).Select(static pair => new HugepageLimitSpec { PageSize = pair.Key, Limit = pair.Value })],
        Unified = resources.Unified.Count == 0 ? null : resources.Unified,
    };

    /// <summary>With the rules of the device controller: all devices for the privileged, else those that every runtime allows.</summary>
    public static ResourcesSpec WithDevices(ResourcesSpec resources, bool privileged) =>
        resources with { Devices = [privileged ? s_allDevices : s_noDevices] };

    /// <summary>Changes laid over what is.</summary>
    public static LinuxResources Merge(LinuxResources old, LinuxResources change) => old with
    {
        CpuPeriod = change.CpuPeriod == 0 ? old.CpuPeriod : change.CpuPeriod,
        CpuQuota = change.CpuQuota == 0 ? old.CpuQuota : change.CpuQuota,
        CpuShares = change.CpuShares == 0 ? old.CpuShares : change.CpuShares,
        MemoryBytes = change.MemoryBytes == 0 ? old.MemoryBytes : change.MemoryBytes,
        MemorySwapBytes = change.MemorySwapBytes == 0 ? old.MemorySwapBytes : change.MemorySwapBytes,
        OomScoreAdj = change.OomScoreAdj == 0 ? old.OomScoreAdj : change.OomScoreAdj,
        CpusetCpus = change.CpusetCpus.Length == 0 ? old.CpusetCpus : change.CpusetCpus,
        CpusetMems = change.CpusetMems.Length == 0 ? old.CpusetMems : change.CpusetMems,
        HugepageLimits = change.HugepageLimits.Count == 0 ? old.HugepageLimits : change.HugepageLimits,
        Unified = change.Unified.Count == 0 ? old.Unified : old.Unified.Concat(change.Unified).GroupBy(static pair => pair.Key).ToDictionary(static group => group.Key, static group => group.Last().Value),
    };

    /// <exception cref="PodException">InvalidArgument: a limit that makes no sense.</exception>
    public static void Check(LinuxResources resources)
    {
        string? wrong = resources switch
        {
            { CpuPeriod: not 0 and (< 1000 or > 1_000_000) } => $"a CPU period of {resources.CpuPeriod} µs: the kernel takes 1000 to 1000000",
            { CpuQuota: not 0 and not -1 and < 1000 } => $"a CPU quota of {resources.CpuQuota} µs: the kernel takes 1000 and more, or -1 for none",
            { CpuShares: < 0 or > 262144 } => $"{resources.CpuShares} CPU shares: the kernel takes 2 to 262144",
            { MemoryBytes: < -1 } => $"a memory limit of {resources.MemoryBytes} bytes",
            { MemorySwapBytes: > 0, MemoryBytes: > 0 } when resources.MemorySwapBytes < resources.MemoryBytes => "a limit of memory and swap together that is below that of memory",
            { OomScoreAdj: < -1000 or > 1000 } => $"an OOM score of {resources.OomScoreAdj}: the kernel takes -1000 to 1000",
            _ => resources.Unified.Keys.FirstOrDefault(static file => file.Contains('/') || !file.Contains('.')) is { } file ? $"the file \"{file}\" of a cgroup" : null,
        };
        if (wrong is not null)
        {
            throw new PodException(PodFault.InvalidArgument, $"The resources have {wrong}.");
        }
    }
}
