using Hearth.Platform.Telemetry;

namespace Hearth.Vmm.Telemetry.Metrics;

/// <summary>Uses of what will go away. Source: Firecracker <c>DeprecatedApiMetrics</c>.</summary>
public sealed class DeprecatedApiMetrics : MetricGroup
{
    public DeprecatedApiMetrics()
        : base("deprecated_api")
    {
        HttpApiCalls = Counter("deprecated_http_api_calls");
    }

    public MetricCounter HttpApiCalls { get; }
}
