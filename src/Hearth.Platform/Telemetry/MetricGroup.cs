namespace Hearth.Platform.Telemetry;

/// <summary>The counters of one device or component, under one key of the metrics file.</summary>
public abstract class MetricGroup
{
    private readonly List<MetricCounter> _counters = [];

    protected MetricGroup(string name) => Name = name;

    /// <summary>The group's key: <c>block</c>, <c>net</c>.</summary>
    public string Name { get; }

    /// <summary>All counters, in the order they were made.</summary>
    public IReadOnlyList<MetricCounter> Counters => _counters;

    /// <summary>Makes a counter; for constructors.</summary>
    protected MetricCounter Counter(string name)
    {
        var counter = new MetricCounter(name);
        _counters.Add(counter);
        return counter;
    }
}
