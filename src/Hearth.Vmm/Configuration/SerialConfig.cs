namespace Hearth.Vmm.Configuration;

/// <summary>Where ttyS0's output goes. Source: Firecracker swagger SerialDevice.</summary>
public sealed record SerialConfig
{
    /// <summary>A file or FIFO; null for stdout.</summary>
    public string? SerialOutPath { get; init; }

    public TokenBucketConfig? RateLimiter { get; init; }
}
