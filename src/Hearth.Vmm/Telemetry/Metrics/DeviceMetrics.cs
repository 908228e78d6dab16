using Hearth.Platform.Telemetry;

namespace Hearth.Vmm.Telemetry.Metrics;

/// <summary>One kind of device as the metrics file shows it.</summary>
/// <param name="Total">A group of the kind's type that nobody counts in: it names the kind and its metrics.</param>
/// <param name="Devices">Each device's own group, and its id if there may be several.</param>
public sealed record DeviceMetrics(MetricGroup Total, IReadOnlyList<(string? Id, MetricGroup Group)> Devices);
