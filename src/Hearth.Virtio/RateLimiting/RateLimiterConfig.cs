namespace Hearth.Virtio.RateLimiting;

/// <summary>Limits for one device. Source: Firecracker swagger, RateLimiter.</summary>
/// <param name="Bandwidth">Bytes; null for no limit (or, in an update, for no change).</param>
/// <param name="Ops">Requests; null likewise.</param>
public sealed record RateLimiterConfig(TokenBucketConfig? Bandwidth, TokenBucketConfig? Ops);

/// <summary>
/// How fast tokens come. Source: Firecracker swagger, TokenBucket. A <paramref name="Size"/> or
/// <paramref name="RefillTimeMs"/> of 0 means no limit.
/// </summary>
/// <param name="Size">How many tokens the bucket holds, and how many a full refill brings.</param>
/// <param name="OneTimeBurst">Tokens that are there once, at first, besides.</param>
/// <param name="RefillTimeMs">How long an empty bucket takes to become full, in milliseconds.</param>
public sealed record TokenBucketConfig(ulong Size, ulong OneTimeBurst, ulong RefillTimeMs);

/// <summary>What a snapshot keeps of a limiter.</summary>
public sealed record RateLimiterState(TokenBucketState? Bandwidth, TokenBucketState? Ops);

/// <summary>What a snapshot keeps of a bucket. <paramref name="Budget"/> is negative while a large request is being paid off.</summary>
public sealed record TokenBucketState(TokenBucketConfig Config, long Budget, long BurstLeft);
