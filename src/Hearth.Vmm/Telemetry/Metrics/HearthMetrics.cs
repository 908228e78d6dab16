using Hearth.Platform.Telemetry;

namespace Hearth.Vmm.Telemetry.Metrics;

/// <summary>What Firecracker has no name for.</summary>
public sealed class HearthMetrics : MetricGroup
{
    public HearthMetrics()
        : base("hearth")
    {
        UnclaimedAccesses = Counter("unclaimed_accesses");
    }

    /// <summary>Times a guest touched an address or port that nobody owns.</summary>
    public MetricCounter UnclaimedAccesses { get; }
}
