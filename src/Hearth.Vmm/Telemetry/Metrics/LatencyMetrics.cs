using Hearth.Platform.Telemetry;

namespace Hearth.Vmm.Telemetry.Metrics;

/// <summary>How long the last of each operation took, in microseconds. Source: Firecracker <c>PerformanceMetrics</c>.</summary>
public sealed class LatencyMetrics : MetricGroup
{
    public LatencyMetrics()
        : base("latencies_us")
    {
        PauseVm = Gauge("pause_vm");
        ResumeVm = Gauge("resume_vm");
    }

    public MetricGauge PauseVm { get; }

    public MetricGauge ResumeVm { get; }
}
