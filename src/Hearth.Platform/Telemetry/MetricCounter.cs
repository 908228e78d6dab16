namespace Hearth.Platform.Telemetry;

/// <summary>A count that only grows. Thread: any.</summary>
public sealed class MetricCounter : Metric
{
    private long _value;
    private long _offered;
    private long _reported;

    internal MetricCounter(string name)
        : base(name)
    {
    }

    public long Value => Volatile.Read(ref _value);

    public void Increment() => Interlocked.Increment(ref _value);

    public void Add(long count) => Interlocked.Add(ref _value, count);

    /// <summary>How much it grew since the last report that arrived.</summary>
    public override long Report()
    {
        _offered = Value;
        return _offered - _reported;
    }

    public override void Reported() => _reported = _offered;
}
