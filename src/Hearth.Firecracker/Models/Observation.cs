using System.Text.Json.Serialization;

namespace Hearth.Firecracker.Models;

/// <summary>What the log has.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<LogLevel>))]
public enum LogLevel
{
    Off,
    Error,
    Warning,
    Info,
    Debug,
    Trace,
}

/// <summary>The monitor's log.</summary>
public sealed record Logger
{
    /// <summary>A file or FIFO.</summary>
    public string? LogPath { get; init; }

    public LogLevel? Level { get; init; }

    public bool? ShowLevel { get; init; }

    public bool? ShowLogOrigin { get; init; }

    /// <summary>Only what comes from this module.</summary>
    public string? Module { get; init; }
}

/// <summary>Where metrics go: a line of JSON each minute, and at each FlushMetrics.</summary>
public sealed record Metrics
{
    /// <summary>A file or FIFO.</summary>
    public required string MetricsPath { get; init; }

    public bool? EmitId { get; init; }

    /// <summary>Added to each line.</summary>
    public IReadOnlyDictionary<string, string>? Properties { get; init; }
}

/// <summary>Where ttyS0's output goes.</summary>
public sealed record SerialDevice
{
    /// <summary>A file or FIFO; null for standard output.</summary>
    public string? SerialOutPath { get; init; }

    public TokenBucket? RateLimiter { get; init; }
}

/// <summary>The virtio-rng device.</summary>
public sealed record EntropyDevice
{
    public RateLimiter? RateLimiter { get; init; }
}
