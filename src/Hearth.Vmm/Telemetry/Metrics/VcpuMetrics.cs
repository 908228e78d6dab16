using Hearth.Platform.Telemetry;

namespace Hearth.Vmm.Telemetry.Metrics;

/// <summary>Why the vCPUs left the guest, all together. Source: Firecracker <c>VcpuMetrics</c>.</summary>
public sealed class VcpuMetrics : MetricGroup
{
    public VcpuMetrics()
        : base("vcpu")
    {
        ExitIoIn = Counter("exit_io_in");
        ExitIoOut = Counter("exit_io_out");
        ExitMmioRead = Counter("exit_mmio_read");
        ExitMmioWrite = Counter("exit_mmio_write");
        Failures = Counter("failures");
    }

    public MetricCounter ExitIoIn { get; }

    public MetricCounter ExitIoOut { get; }

    public MetricCounter ExitMmioRead { get; }

    public MetricCounter ExitMmioWrite { get; }

    /// <summary>vCPUs that KVM could not run on.</summary>
    public MetricCounter Failures { get; }
}
