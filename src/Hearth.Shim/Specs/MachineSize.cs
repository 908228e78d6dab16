using System.Globalization;
using Hearth.Configuration;
using Hearth.Oci.Runtime;
using Hearth.Shim.Protocol;
using Hearth.Ttrpc;

namespace Hearth.Shim.Specs;

/// <summary>
/// How large a pod's machine is: what its annotations say, else what follows from its limits, else the configuration's own.
/// </summary>
/// <param name="Vcpus">1 or more.</param>
/// <param name="MemoryMib">With the guest's own share.</param>
internal readonly record struct MachineSize(int Vcpus, int MemoryMib)
{
    private const string QuotaName = "io.kubernetes.cri.sandbox-cpu-quota";
    private const string PeriodName = "io.kubernetes.cri.sandbox-cpu-period";
    private const string LimitName = "io.kubernetes.cri.sandbox-memory";
    private const long Mib = 1 << 20;
    private const int LeastMemoryMib = 64;
    private const int MostMemoryMib = 1 << 22;

    /// <param name="spec">Of the pod's sandbox, or of a container alone.</param>
    /// <param name="config">The bounds, and what holds without limits.</param>
    /// <exception cref="TtrpcException">InvalidArgument: an annotation is no number, or beyond the bounds.</exception>
    public static MachineSize Of(RuntimeSpec spec, MicrovmConfig config)
    {
        long? quota = Number(spec, QuotaName) ?? spec.Linux?.Resources?.Cpu?.Quota;
        long? period = Number(spec, PeriodName) ?? (long?)spec.Linux?.Resources?.Cpu?.Period;
        long? limit = Number(spec, LimitName) ?? spec.Linux?.Resources?.Memory?.Limit;
        MachineSize size = Of(quota, period, limit, config);
        return new MachineSize(
            Exactly(spec, SpecAnnotations.Vcpus, 1, config.MaxVcpus) ?? size.Vcpus,
            Exactly(spec, SpecAnnotations.MemoryMib, LeastMemoryMib, MostMemoryMib) ?? size.MemoryMib);
    }

    /// <summary>What follows from limits; 0, less, or none is no limit.</summary>
    public static MachineSize Of(long? cpuQuota, long? cpuPeriod, long? memoryLimit, MicrovmConfig config)
    {
        const long usualPeriod = 100_000;
        long period = cpuPeriod is > 0 and var given ? given : usualPeriod;
        long vcpus = cpuQuota is > 0 and var quota ? (quota + period - 1) / period : config.Vcpus;
        long memory = memoryLimit is > 0 and var limit ? (Math.Min(limit, MostMemoryMib * Mib) + Mib - 1) / Mib + config.OverheadMib : config.MemoryMib;
        return new MachineSize(
            (int)Math.Clamp(vcpus, 1, Math.Max(1, config.MaxVcpus)),
            (int)Math.Clamp(memory, LeastMemoryMib, MostMemoryMib));
    }

    private static long? Number(RuntimeSpec spec, string name)
    {
        if (spec.Annotations?.GetValueOrDefault(name) is not { Length: > 0 } text)
        {
            return null;
        }

        return long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long value)
            ? value is 0 ? null : value
            : throw new TtrpcException(StatusCode.InvalidArgument, $"The annotation {name} is \"{text}\", which is no whole number.");
    }

    private static int? Exactly(RuntimeSpec spec, string name, int least, int most) => Number(spec, name) switch
    {
        null => null,
        { } value when value >= least && value <= most => (int)value,
        { } value => throw new TtrpcException(StatusCode.InvalidArgument, $"The annotation {name} is {value}: it is {least} to {most}."),
    };
}
