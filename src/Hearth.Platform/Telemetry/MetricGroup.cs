namespace Hearth.Platform.Telemetry;

/// <summary>The numbers of one device or component, under one key of the metrics file.</summary>
public abstract class MetricGroup
{
    private readonly List<Metric> _metrics = [];

    protected MetricGroup(string name) => Name = name;

    /// <summary>The group's key: <c>block</c>, <c>net</c>.</summary>
    public string Name { get; }

    /// <summary>All of them, in the order they were made.</summary>
    public IReadOnlyList<Metric> Metrics => _metrics;

    /// <summary>Makes a counter; for constructors.</summary>
    protected MetricCounter Counter(string name) => Add(new MetricCounter(name));

    /// <summary>Makes a gauge; for constructors.</summary>
    protected MetricGauge Gauge(string name) => Add(new MetricGauge(name));

    private T Add<T>(T metric)
        where T : Metric
    {
        _metrics.Add(metric);
        return metric;
    }
}
