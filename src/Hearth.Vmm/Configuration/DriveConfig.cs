namespace Hearth.Vmm.Configuration;

/// <summary>What a guest's flush means for the host. Source: Firecracker swagger Drive.cache_type.</summary>
public enum CacheType
{
    /// <summary>Flush is not offered to the guest; the host's page cache decides.</summary>
    Unsafe,

    /// <summary>A guest's flush is an <c>fdatasync</c> of the file.</summary>
    Writeback,
}

/// <summary>How the host does a drive's I/O. Source: Firecracker swagger Drive.io_engine.</summary>
public enum IoEngine
{
    Sync,
    Async,
}

/// <summary>A virtio-blk device. Source: Firecracker swagger Drive.</summary>
public sealed record DriveConfig : IDeviceConfig
{
    public required string DriveId { get; init; }

    /// <summary>A raw image or block device on the host; null where <see cref="Socket"/> is not.</summary>
    public string? PathOnHost { get; init; }

    /// <summary>Where a vhost-user back end serves the drive, and says itself whether it is read-only; else null.</summary>
    public string? Socket { get; init; }

    public required bool IsRootDevice { get; init; }

    public bool IsReadOnly { get; init; }

    /// <summary>The root partition's unique id; null to boot from the whole device.</summary>
    public string? PartUuid { get; init; }

    public CacheType CacheType { get; init; }

    public IoEngine IoEngine { get; init; }

    public RateLimiterConfig? RateLimiter { get; init; }

    string IDeviceConfig.Id => DriveId;

    bool IDeviceConfig.NeedsSharedMemory => Socket is not null;
}
