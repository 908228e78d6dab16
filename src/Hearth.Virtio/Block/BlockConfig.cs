using Hearth.Virtio.RateLimiting;

namespace Hearth.Virtio.Block;

/// <summary>Whether a guest's flush reaches the disk. Source: Firecracker swagger, Drive.cache_type.</summary>
public enum BlockCacheType
{
    /// <summary>The guest is offered no flush: what it wrote is in the host's page cache, and lost with the host.</summary>
    Unsafe,

    /// <summary>The guest flushes, and a flush is an fdatasync(2) of the file.</summary>
    Writeback,
}

/// <summary>A drive as the user asked for it.</summary>
public sealed record BlockConfig
{
    public required string DriveId { get; init; }

    /// <summary>The backing file or block device on the host.</summary>
    public required string Path { get; init; }

    public bool IsReadOnly { get; init; }

    public BlockCacheType CacheType { get; init; } = BlockCacheType.Unsafe;

    /// <summary>Null for no limit.</summary>
    public RateLimiterConfig? RateLimiter { get; init; }
}
