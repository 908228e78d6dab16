namespace Hearth.Virtio.Block;

/// <summary>A drive that another process serves, as the user asked for it. Source: Firecracker swagger, Drive.socket.</summary>
public sealed record VhostUserBlockConfig
{
    public required string DriveId { get; init; }

    /// <summary>Where the back end listens.</summary>
    public required string Socket { get; init; }

    /// <summary>With <see cref="BlockCacheType.Unsafe"/> the guest is offered no flush, whatever the back end can.</summary>
    public BlockCacheType CacheType { get; init; } = BlockCacheType.Unsafe;
}
