using Hearth.Platform.Telemetry;

namespace Hearth.Vmm.Telemetry.Metrics;

/// <summary>How often each resource was asked for by one method, and how often in vain, under Firecracker's names.</summary>
public sealed class ApiMetrics : MetricGroup
{
    private readonly Dictionary<string, (MetricCounter Count, MetricCounter? Fails)> _resources = new(StringComparer.Ordinal);

    /// <param name="name">The key in the metrics file.</param>
    /// <param name="countsFails">Whether failures have a counter of their own.</param>
    /// <param name="resources">Firecracker's short names of the resources: <c>drive</c>, <c>machine_cfg</c>.</param>
    public ApiMetrics(string name, bool countsFails, IEnumerable<string> resources)
        : base(name)
    {
        foreach (string resource in resources)
        {
            _resources[resource] = (Counter($"{resource}_count"), countsFails ? Counter($"{resource}_fails") : null);
        }
    }

    /// <summary>Counts one request.</summary>
    public void Count(string resource, bool failed)
    {
        if (_resources.TryGetValue(resource, out (MetricCounter Count, MetricCounter? Fails) counters))
        {
            counters.Count.Increment();
            if (failed)
            {
                counters.Fails?.Increment();
            }
        }
    }
}
