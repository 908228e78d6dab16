namespace Hearth.Vmm.Configuration;

/// <summary>How fast a device may go. Source: Firecracker swagger RateLimiter.</summary>
public sealed record RateLimiterConfig
{
    /// <summary>In bytes; null for no limit.</summary>
    public TokenBucketConfig? Bandwidth { get; init; }

    /// <summary>In operations; null for no limit.</summary>
    public TokenBucketConfig? Ops { get; init; }

    /// <summary>What a PATCH makes of a limiter: a bucket that <paramref name="change"/> leaves out stays as it was.</summary>
    public static RateLimiterConfig? Merge(RateLimiterConfig? old, RateLimiterConfig? change) =>
        change is null ? old : new RateLimiterConfig { Bandwidth = change.Bandwidth ?? old?.Bandwidth, Ops = change.Ops ?? old?.Ops };
}

/// <summary>One token bucket. Source: Firecracker swagger TokenBucket.</summary>
public sealed record TokenBucketConfig
{
    /// <summary>Tokens the bucket holds.</summary>
    public required ulong Size { get; init; }

    /// <summary>Tokens spent once, before the bucket is touched; never filled again.</summary>
    public ulong? OneTimeBurst { get; init; }

    /// <summary>Milliseconds from empty to full.</summary>
    public required ulong RefillTime { get; init; }
}
