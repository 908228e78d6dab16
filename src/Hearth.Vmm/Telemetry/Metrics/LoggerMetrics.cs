using Hearth.Platform.Telemetry;

namespace Hearth.Vmm.Telemetry.Metrics;

/// <summary>What the log and the metrics file themselves lost. Source: Firecracker <c>LoggerSystemMetrics</c>.</summary>
public sealed class LoggerMetrics : MetricGroup
{
    public LoggerMetrics()
        : base("logger")
    {
        MissedMetricsCount = Counter("missed_metrics_count");
        MissedLogCount = Counter("missed_log_count");
    }

    /// <summary>Lines of metrics that nobody took; their counts are in the next.</summary>
    public MetricCounter MissedMetricsCount { get; }

    /// <summary>Log lines that nobody took.</summary>
    public MetricCounter MissedLogCount { get; }
}
