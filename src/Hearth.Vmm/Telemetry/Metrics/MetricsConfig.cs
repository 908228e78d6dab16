namespace Hearth.Vmm.Telemetry.Metrics;

/// <summary>Where the metrics go. Source: Firecracker swagger Metrics.</summary>
public sealed record MetricsConfig
{
    /// <summary>A file or FIFO.</summary>
    public required string MetricsPath { get; init; }

    /// <summary>Whether each line says which microVM it is of.</summary>
    public bool EmitId { get; init; }

    /// <summary>What the user wants to find in each line; null for nothing.</summary>
    public KeyValuePair<string, string>[]? Properties { get; init; }
}
