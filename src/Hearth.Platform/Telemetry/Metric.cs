namespace Hearth.Platform.Telemetry;

/// <summary>One number of the metrics file. Thread: changed on any; reported on one.</summary>
public abstract class Metric
{
    private protected Metric(string name) => Name = name;

    /// <summary>Firecracker's name for it, as in its metrics file.</summary>
    public string Name { get; }

    /// <summary>What the next line of the metrics file says.</summary>
    public abstract long Report();

    /// <summary>The line with the last <see cref="Report"/> was written: the next one begins after it.</summary>
    public abstract void Reported();
}
