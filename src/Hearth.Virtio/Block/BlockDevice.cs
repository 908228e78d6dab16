using System.Buffers.Binary;
using System.Diagnostics;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Platform.State;
using Hearth.Virtio.Queues;
using Hearth.Virtio.RateLimiting;

namespace Hearth.Virtio.Block;

/// <summary>
/// virtio-blk over a file. Data moves straight between guest memory and the file, on the event loop's thread.
/// <para>Shape: a chain is a 16-byte header, data in any number of pieces, and a status byte at the very end
/// (virtio 1.2 §5.2.6). One queue.</para>
/// <para>Deviates: without VIRTIO_BLK_F_FLUSH (cache type Unsafe) a flush still succeeds and does nothing, as in Firecracker.</para>
/// </summary>
public sealed partial class BlockDevice : VirtioDevice, ISnapshottable<BlockState>
{
    private const ushort QueueSize = 256;
    private const ulong FeatureSegMax = 1UL << 2;
    private const ulong FeatureReadOnly = 1UL << 5;
    private const ulong FeatureFlush = 1UL << 9;

    // A header and a status frame the data of the longest chain.
    private const uint SegMax = QueueSize - 2;
    private const int ConfigBytes = 60;
    private const int ConfigSegMaxOffset = 12;

    // How long one drive may keep the loop from the other devices.
    private const int RequestsPerTurn = QueueSize;

    private static readonly ushort[] s_queueSizes = [QueueSize];

    private readonly BlockConfig _config;
    private readonly RateLimiter _limiter;
    private readonly ulong _features;

    // Pinned, because the kernel reads it during preadv and pwritev.
    private readonly iovec[] _iovecs = GC.AllocateUninitializedArray<iovec>(Virtqueue.MaxSegments, pinned: true);
    private BlockFile _file;
    private string _path;
    private Virtqueue? _queue;
    private IVirtioInterrupt? _interrupt;
    private EventFd? _notifier;

    /// <summary>Opens the backing file.</summary>
    /// <exception cref="HearthException">The file cannot be a drive.</exception>
    public BlockDevice(BlockConfig config)
    {
        _config = config;
        _path = config.Path;
        _file = BlockFile.Open(config.Path, config.IsReadOnly);
        _limiter = new RateLimiter(config.RateLimiter);
        _features = VirtioFeatures.Common | FeatureSegMax
            | (config.IsReadOnly ? FeatureReadOnly : 0)
            | (config.CacheType == BlockCacheType.Writeback ? FeatureFlush : 0);
    }

    public override VirtioDeviceType Type => VirtioDeviceType.Block;

    public override string Id => _config.DriveId;

    public override ulong OfferedFeatures => _features;

    public override ReadOnlySpan<ushort> MaxQueueSizes => s_queueSizes;

    public override BlockMetrics Metrics { get; } = new();

    public bool IsReadOnly => _config.IsReadOnly;

    /// <summary>The backing file as it is now, after any <see cref="UpdatePath"/>.</summary>
    public string Path => _path;

    /// <summary>The capacity in 512-byte sectors.</summary>
    public ulong Sectors => _file.Sectors;

    /// <summary>What the user should know about the backing file; null if nothing.</summary>
    public string? SizeWarning => _file.SizeBytes % BlockFile.SectorBytes == 0
        ? null
        : $"The size of \"{_path}\" ({_file.SizeBytes} bytes) is no multiple of {BlockFile.SectorBytes}; the guest does not see the rest.";

    public override void ReadConfig(uint offset, Span<byte> destination)
    {
        // struct virtio_blk_config (§5.2.4): capacity, and seg_max; what we do not offer is zero.
        Span<byte> config = stackalloc byte[ConfigBytes];
        config.Clear();
        BinaryPrimitives.WriteUInt64LittleEndian(config, _file.Sectors);
        BinaryPrimitives.WriteUInt32LittleEndian(config[ConfigSegMaxOffset..], SegMax);
        destination.Clear();
        if (offset >= ConfigBytes)
        {
            Metrics.CfgFails.Increment();
            return;
        }

        ReadOnlySpan<byte> source = config[(int)offset..];
        source[..Math.Min(source.Length, destination.Length)].CopyTo(destination);
    }

    public override void WriteConfig(uint offset, ReadOnlySpan<byte> source) => Metrics.CfgFails.Increment();

    public override void Activate(DeviceActivation activation)
    {
        _queue = activation.Queues[0];
        _interrupt = activation.Interrupt;
        _notifier = activation.Notifiers[0];
        _limiter.Attach(activation.Loop, Gate, OnLimiterReady);
    }

    public override void Reset()
    {
        _limiter.Detach();
        _queue = null;
        _interrupt = null;
        _notifier = null;
    }

    public override void OnQueueNotified(int queueIndex)
    {
        Metrics.QueueEventCount.Increment();
        if (queueIndex != 0)
        {
            Metrics.EventFails.Increment();
            return;
        }

        if (!_limiter.IsBlocked)
        {
            Process();
        }
    }

    /// <summary>
    /// Puts another file behind the drive: the guest sees its capacity change (PATCH /drives). Requests already
    /// completed went to the old file, all later ones go to the new. Thread: API.
    /// </summary>
    /// <exception cref="HearthException">The new file cannot be a drive; the old one stays.</exception>
    public void UpdatePath(string path)
    {
        BlockFile next;
        try
        {
            next = BlockFile.Open(path, _config.IsReadOnly);
        }
        catch (HearthException)
        {
            Metrics.UpdateFails.Increment();
            throw;
        }

        BlockFile old;
        lock (Gate)
        {
            old = _file;
            _file = next;
            _path = path;
            NotifyConfigChanged();
        }

        old.Dispose();
        if (SizeWarning is { } warning)
        {
            Warning?.Invoke(warning);
        }

        Metrics.UpdateCount.Increment();
    }

    /// <summary>Changes the rate limiter's buckets; null leaves one as it is. Thread: API.</summary>
    public void UpdateRateLimiter(RateLimiterConfig config)
    {
        lock (Gate)
        {
            _limiter.Update(config);
        }
    }

    public BlockState Save() => new()
    {
        DriveId = Id,
        Path = _path,
        IsReadOnly = _config.IsReadOnly,
        CacheType = _config.CacheType,
        Sectors = _file.Sectors,
        RateLimiter = _limiter.Save(),
    };

    public void Restore(BlockState state)
    {
        if (state.DriveId != Id || state.IsReadOnly != _config.IsReadOnly || state.CacheType != _config.CacheType)
        {
            throw new HearthException(
                $"The saved state of drive {state.DriveId} does not fit drive {Id}. The snapshot is damaged or of another machine.");
        }

        if (state.RateLimiter is not null)
        {
            _limiter.Restore(state.RateLimiter);
        }

        if (state.Sectors != _file.Sectors)
        {
            Warning?.Invoke($"\"{_path}\" had {state.Sectors} sectors at the time of the snapshot and has {_file.Sectors} now; the guest is told.");
            NotifyConfigChanged();
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _limiter.Dispose();
            _file.Dispose();
        }
    }

    private void OnLimiterReady()
    {
        if (_queue is not null)
        {
            Metrics.RateLimiterEventCount.Increment();
            Process();
        }
    }

    private void Process()
    {
        Debug.Assert(_queue is not null && _interrupt is not null && _notifier is not null, "The transport calls active devices only.");
        Virtqueue queue = _queue;
        int left = RequestsPerTurn;
        do
        {
            queue.DisableNotifications();
            bool throttled = !TryServeAvailable(queue, ref left);

            // One interrupt for all that was there: the guest works on it while we look for more.
            queue.PublishUsed();
            if (queue.NeedsNotification())
            {
                _interrupt.SignalQueue(0);
            }

            if (throttled)
            {
                // The limiter's timer brings us back; until then the guest need not ring.
                return;
            }

            // Looking again counts too: a guest that adds only malformed chains must not hold the loop.
            if (--left <= 0)
            {
                _notifier.Signal();
                return;
            }
        }
        while (!queue.TryEnableNotifications());
    }

    /// <summary>Serves what is available, up to <paramref name="left"/> requests; false where the rate limiter stopped it.</summary>
    private bool TryServeAvailable(Virtqueue queue, ref int left)
    {
        long malformed = queue.MalformedChains;
        bool any = false;
        while (left > 0 && queue.TryPop(out DescriptorChain chain))
        {
            any = true;
            left--;
            if (!TryServe(queue, chain))
            {
                queue.UndoPop();
                Metrics.RateLimiterThrottledEvents.Increment();
                return false;
            }
        }

        malformed = queue.MalformedChains - malformed;
        Metrics.InvalidReqsCount.Add(malformed);
        if (!any && malformed == 0 && left == RequestsPerTurn)
        {
            Metrics.NoAvailBuffer.Increment();
        }

        return true;
    }
}
