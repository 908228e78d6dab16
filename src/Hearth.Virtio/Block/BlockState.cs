using Hearth.Virtio.RateLimiting;

namespace Hearth.Virtio.Block;

/// <summary>What a snapshot keeps of a drive. The data itself stays in the backing file.</summary>
public sealed record BlockState
{
    public required string DriveId { get; init; }

    /// <summary>The backing file at the time, from which the drive is made before it is restored.</summary>
    public required string Path { get; init; }

    public bool IsReadOnly { get; init; }

    public BlockCacheType CacheType { get; init; }

    /// <summary>The capacity the guest knows, in 512-byte sectors.</summary>
    public ulong Sectors { get; init; }

    public RateLimiterState? RateLimiter { get; init; }
}
