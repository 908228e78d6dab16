using System.Buffers.Binary;
using System.Text;
using Hearth.Linux;
using Hearth.Platform.State;
using Hearth.Virtio.Queues;
using Hearth.Virtio.VhostUser;

namespace Hearth.Virtio.Fs;

/// <summary>
/// A folder of the host as a file system of the guest, served by a vhost-user back end (virtiofsd). Source: virtio 1.2 §5.11.
/// <para>Shape: queue 0 for what must not wait (forget, interrupt), queue 1 for requests; each is a FUSE message.</para>
/// </summary>
public sealed class FsDevice : VhostUserFrontEnd, ISnapshottable<FsState>
{
    /// <summary>The key of its counters.</summary>
    public const string MetricsName = "vhost_user_fs";

    /// <summary>The longest tag, in bytes of UTF-8. Source: struct virtio_fs_config.</summary>
    public const int MaxTagBytes = 36;

    // struct fuse_in_header has the request's number here; struct fuse_out_header is length, error, number (linux/fuse.h).
    private const uint FuseUniqueOffset = 8;
    private const int FuseOutHeaderBytes = 16;
    private const int ConfigBytes = MaxTagBytes + sizeof(uint);

    // Long queues: a request that moves 1 MiB is 256 pages, each a descriptor where the back end takes no indirect ones.
    private static readonly ushort[] s_queueSizes = [Virtqueue.MaxSegments, Virtqueue.MaxSegments];

    private readonly string _tag;
    private readonly byte[] _config = new byte[ConfigBytes];

    /// <param name="tag">What the guest mounts: 1 to <see cref="MaxTagBytes"/> bytes.</param>
    /// <param name="socket">Where the back end listens.</param>
    /// <exception cref="HearthException">There is no back end, or it is none for this device.</exception>
    public FsDevice(string tag, string socket)
        : this(tag, socket, DefaultPatience)
    {
    }

    internal FsDevice(string tag, string socket, TimeSpan patience)
        : base(MetricsName, socket, VirtioFeatures.Common, s_queueSizes.Length, configBytes: 0, patience)
    {
        _tag = tag;
        Encoding.UTF8.GetBytes(tag, _config.AsSpan(0, MaxTagBytes));
        BinaryPrimitives.WriteUInt32LittleEndian(_config.AsSpan(MaxTagBytes), 1);
    }

    public override VirtioDeviceType Type => VirtioDeviceType.Fs;

    public override string Id => _tag;

    public override ReadOnlySpan<ushort> MaxQueueSizes => s_queueSizes;

    /// <summary>The tag, without a NUL at its end where it is as long as can be, and the number of request queues (§5.11.4).</summary>
    public override void ReadConfig(uint offset, Span<byte> destination)
    {
        destination.Clear();
        if (offset >= ConfigBytes)
        {
            Metrics.CfgFails.Increment();
            return;
        }

        ReadOnlySpan<byte> source = _config.AsSpan((int)offset);
        source[..Math.Min(source.Length, destination.Length)].CopyTo(destination);
    }

    public FsState Save() => new() { Tag = _tag, Socket = Socket };

    public void Restore(FsState state)
    {
        if (state.Tag != _tag)
        {
            throw new HearthException($"The saved state of file system {state.Tag} does not fit file system {_tag}. The snapshot is damaged or of another machine.");
        }
    }

    /// <summary>EIO, in a FUSE header; a message that wants no answer (forget) has no room for one.</summary>
    protected override uint FailRequest(in DescriptorChain chain)
    {
        Span<byte> answer = stackalloc byte[FuseOutHeaderBytes];
        if (chain.WritableBytes < FuseOutHeaderBytes || !chain.TryRead(FuseUniqueOffset, out ulong unique))
        {
            return 0;
        }

        BinaryPrimitives.WriteUInt32LittleEndian(answer, FuseOutHeaderBytes);
        BinaryPrimitives.WriteInt32LittleEndian(answer[4..], -(int)Errno.EIO);
        BinaryPrimitives.WriteUInt64LittleEndian(answer[8..], unique);
        chain.TryWrite(0, answer);
        return FuseOutHeaderBytes;
    }
}
