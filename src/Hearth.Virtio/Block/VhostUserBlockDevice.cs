using Hearth.Linux;
using Hearth.Platform.State;
using Hearth.Virtio.Queues;
using Hearth.Virtio.VhostUser;

namespace Hearth.Virtio.Block;

/// <summary>
/// virtio-blk served by a vhost-user back end, which also says how large the drive is and whether it is read-only.
/// One queue. Source: virtio 1.2 §5.2; Firecracker docs/api_requests/block-vhost-user.md.
/// </summary>
public sealed class VhostUserBlockDevice : VhostUserFrontEnd, ISnapshottable<VhostUserBlockState>
{
    /// <summary>The key of its counters. Source: Firecracker devices/virtio/vhost_user_metrics.rs.</summary>
    public const string MetricsName = "vhost_user_block";

    private const ulong FeatureSizeMax = 1UL << 1;
    private const ulong FeatureSegMax = 1UL << 2;
    private const ulong FeatureReadOnly = 1UL << 5;
    private const ulong FeatureBlockSize = 1UL << 6;
    private const ulong FeatureFlush = 1UL << 9;
    private const ulong FeatureTopology = 1UL << 10;
    private const ulong FeatureDiscard = 1UL << 13;
    private const ulong FeatureWriteZeroes = 1UL << 14;

    // struct virtio_blk_config up to where the features above end (§5.2.4).
    private const int ConfigBytes = 60;

    private static readonly ushort[] s_queueSizes = [256];

    private readonly VhostUserBlockConfig _settings;

    /// <exception cref="HearthException">There is no back end, or it is none for a drive.</exception>
    public VhostUserBlockDevice(VhostUserBlockConfig config)
        : this(config, DefaultPatience)
    {
    }

    internal VhostUserBlockDevice(VhostUserBlockConfig config, TimeSpan patience)
        : base(MetricsName, config.Socket, Features(config.CacheType), s_queueSizes.Length, ConfigBytes, patience)
    {
        _settings = config;
    }

    public override VirtioDeviceType Type => VirtioDeviceType.Block;

    public override string Id => _settings.DriveId;

    public override ReadOnlySpan<ushort> MaxQueueSizes => s_queueSizes;

    public override void ReadConfig(uint offset, Span<byte> destination)
    {
        destination.Clear();
        if (offset >= ConfigBytes)
        {
            Metrics.CfgFails.Increment();
            return;
        }

        ReadOnlySpan<byte> source = BackEndConfig[(int)offset..];
        source[..Math.Min(source.Length, destination.Length)].CopyTo(destination);
    }

    /// <summary>Asks the back end for the drive's size and the rest again, and tells the guest (PATCH /drives). Thread: API.</summary>
    /// <exception cref="HearthException">There is no back end that would say.</exception>
    public void Refresh()
    {
        lock (Gate)
        {
            RefreshConfig();
        }
    }

    public VhostUserBlockState Save() => new() { DriveId = Id, Socket = Socket, CacheType = _settings.CacheType };

    public void Restore(VhostUserBlockState state)
    {
        if (state.DriveId != Id || state.CacheType != _settings.CacheType)
        {
            throw new HearthException($"The saved state of drive {state.DriveId} does not fit drive {Id}. The snapshot is damaged or of another machine.");
        }
    }

    /// <summary>VIRTIO_BLK_S_IOERR in the last byte.</summary>
    protected override uint FailRequest(in DescriptorChain chain)
    {
        chain.TryWriteLast((byte)BlockStatus.IoError);
        // The status is all that was written; with data before it, nothing was from the start.
        return chain.WritableBytes == 1 ? 1u : 0u;
    }

    private static ulong Features(BlockCacheType cache) =>
        VirtioFeatures.Common | FeatureSizeMax | FeatureSegMax | FeatureReadOnly | FeatureBlockSize | FeatureTopology | FeatureDiscard
        | FeatureWriteZeroes | (cache == BlockCacheType.Writeback ? FeatureFlush : 0);
}
