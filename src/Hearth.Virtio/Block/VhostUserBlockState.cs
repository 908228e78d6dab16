namespace Hearth.Virtio.Block;

/// <summary>What a snapshot keeps of a drive that another process serves.</summary>
public sealed record VhostUserBlockState
{
    public required string DriveId { get; init; }

    /// <summary>Where the back end listened; the restored device may have another.</summary>
    public required string Socket { get; init; }

    public BlockCacheType CacheType { get; init; }
}
