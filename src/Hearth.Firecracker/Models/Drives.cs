using System.Text.Json.Serialization;

namespace Hearth.Firecracker.Models;

/// <summary>What a guest's flush means for the host.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<CacheType>))]
public enum CacheType
{
    /// <summary>Flush is not offered.</summary>
    Unsafe,

    /// <summary>A flush reaches the host's disk.</summary>
    Writeback,
}

/// <summary>How the monitor does a drive's I/O.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<IoEngine>))]
public enum IoEngine
{
    Sync,
    Async,
}

/// <summary>A virtio-blk device.</summary>
public sealed record Drive
{
    public required string DriveId { get; init; }

    /// <summary>The guest's root: at most one drive is.</summary>
    public required bool IsRootDevice { get; init; }

    /// <summary>A raw image or block device, as the monitor sees it. Either this or <see cref="Socket"/>.</summary>
    public string? PathOnHost { get; init; }

    public bool? IsReadOnly { get; init; }

    /// <summary>The root partition's unique id, where the root is one.</summary>
    [JsonPropertyName("partuuid")]
    public string? PartUuid { get; init; }

    public CacheType? CacheType { get; init; }

    public IoEngine? IoEngine { get; init; }

    public RateLimiter? RateLimiter { get; init; }

    /// <summary>Where a vhost-user back end serves the drive.</summary>
    public string? Socket { get; init; }
}

/// <summary>What of a running guest's <see cref="Drive"/> is to change.</summary>
public sealed record PartialDrive
{
    public required string DriveId { get; init; }

    /// <summary>Another image; the guest sees its size.</summary>
    public string? PathOnHost { get; init; }

    public RateLimiter? RateLimiter { get; init; }
}

/// <summary>A virtio-pmem device: a file that the guest maps.</summary>
public sealed record Pmem
{
    public required string Id { get; init; }

    public required string PathOnHost { get; init; }

    public bool? RootDevice { get; init; }

    public bool? ReadOnly { get; init; }

    public RateLimiter? RateLimiter { get; init; }
}

/// <summary>What of a running guest's <see cref="Pmem"/> is to change.</summary>
public sealed record PartialPmem
{
    public required string Id { get; init; }

    public RateLimiter? RateLimiter { get; init; }
}

/// <summary>A folder of the host, served by virtiofsd. An extension of hearth-vmm: Firecracker has nothing like it.</summary>
public sealed record Filesystem
{
    /// <summary>What the guest mounts it by: 1 to 36 bytes.</summary>
    public required string Tag { get; init; }

    /// <summary>The back end's socket.</summary>
    public required string Socket { get; init; }
}

/// <summary>How much, and how often, a device may do.</summary>
public sealed record RateLimiter
{
    /// <summary>Bytes.</summary>
    public TokenBucket? Bandwidth { get; init; }

    /// <summary>Operations.</summary>
    public TokenBucket? Ops { get; init; }
}

/// <summary>A budget that is filled again all the time.</summary>
public sealed record TokenBucket
{
    /// <summary>Tokens in a full bucket; 0 limits nothing.</summary>
    public required long Size { get; init; }

    /// <summary>Tokens that can be spent once, before the bucket's own.</summary>
    public long? OneTimeBurst { get; init; }

    /// <summary>Milliseconds in which an empty bucket is full again.</summary>
    public required long RefillTime { get; init; }
}
