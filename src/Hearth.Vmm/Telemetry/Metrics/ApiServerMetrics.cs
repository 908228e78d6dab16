using Hearth.Platform.Telemetry;

namespace Hearth.Vmm.Telemetry.Metrics;

/// <summary>How long the process took until it served the API. Source: Firecracker <c>ApiServerMetrics</c>.</summary>
public sealed class ApiServerMetrics : MetricGroup
{
    public ApiServerMetrics()
        : base("api_server")
    {
        ProcessStartupTimeUs = Gauge("process_startup_time_us");
        ProcessStartupTimeCpuUs = Gauge("process_startup_time_cpu_us");
    }

    /// <summary>Since <c>--start-time-us</c>.</summary>
    public MetricGauge ProcessStartupTimeUs { get; }

    /// <summary>Since <c>--start-time-cpu-us</c>, with <c>--parent-cpu-time-us</c> added.</summary>
    public MetricGauge ProcessStartupTimeCpuUs { get; }
}
