namespace Hearth.Platform.Telemetry;

/// <summary>A count that only grows. Thread: any.</summary>
public sealed class MetricCounter
{
    private long _value;

    internal MetricCounter(string name) => Name = name;

    /// <summary>Firecracker's name for it, as in its metrics file.</summary>
    public string Name { get; }

    public long Value => Volatile.Read(ref _value);

    public void Increment() => Interlocked.Increment(ref _value);

    public void Add(long count) => Interlocked.Add(ref _value, count);
}
