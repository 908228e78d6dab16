namespace Hearth.Platform.Telemetry;

/// <summary>A value as it was last measured. Thread: any.</summary>
public sealed class MetricGauge : Metric
{
    private long _value;

    internal MetricGauge(string name)
        : base(name)
    {
    }

    public void Set(long value) => Volatile.Write(ref _value, value);

    public override long Report() => Volatile.Read(ref _value);

    public override void Reported()
    {
    }
}
