using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Virtio.Queues;

namespace Hearth.Virtio.Block;

/// <summary>What a drive does with one request.</summary>
public sealed unsafe partial class BlockDevice
{
    /// <summary>Serves one chain and gives it back; false, with nothing done, where the rate limiter says to wait.</summary>
    private bool TryServe(Virtqueue queue, in DescriptorChain chain)
    {
        if (chain.WritableBytes == 0 || !chain.TryRead(0, out BlockRequestHeader header))
        {
            // No place for a status, or no request to have one.
            Metrics.InvalidReqsCount.Increment();
            chain.TryWriteLast((byte)BlockStatus.IoError);
            queue.AddUsed(chain.Head, Math.Min(chain.WritableBytes, 1));
            return true;
        }

        uint readBytes = chain.WritableBytes - 1;
        uint writeBytes = chain.ReadableBytes - BlockRequestHeader.Bytes;
        uint moved = header.Type switch
        {
            BlockRequestType.In => readBytes,
            BlockRequestType.Out => writeBytes,
            _ => 0,
        };
        if (!_limiter.TryConsume(moved))
        {
            return false;
        }

        uint written = 0;
        BlockStatus status = header.Type switch
        {
            BlockRequestType.In => Read(chain, header.Sector, readBytes, out written),
            BlockRequestType.Out => Write(chain, header.Sector, writeBytes),
            BlockRequestType.Flush => Flush(),
            BlockRequestType.GetId => GetId(chain, readBytes, out written),
            _ => BlockStatus.Unsupported,
        };
        chain.TryWriteLast((byte)status);
        if (status == BlockStatus.Unsupported)
        {
            Metrics.InvalidReqsCount.Increment();
        }
        else if (status == BlockStatus.IoError)
        {
            Metrics.ExecuteFails.Increment();
        }

        queue.AddUsed(chain.Head, written + 1);
        return true;
    }

    private BlockStatus Read(in DescriptorChain chain, ulong sector, uint bytes, out uint written)
    {
        written = 0;
        if (!IsInRange(sector, bytes))
        {
            return BlockStatus.IoError;
        }

        int count = chain.FillWritable(_iovecs, 0, bytes);
        if (!TryTransfer(isWrite: false, count, sector, bytes))
        {
            return BlockStatus.IoError;
        }

        written = bytes;
        Metrics.ReadCount.Increment();
        Metrics.ReadBytes.Add(bytes);
        return BlockStatus.Ok;
    }

    private BlockStatus Write(in DescriptorChain chain, ulong sector, uint bytes)
    {
        if (_config.IsReadOnly || !IsInRange(sector, bytes))
        {
            return BlockStatus.IoError;
        }

        int count = chain.FillReadable(_iovecs, BlockRequestHeader.Bytes, bytes);
        if (!TryTransfer(isWrite: true, count, sector, bytes))
        {
            return BlockStatus.IoError;
        }

        Metrics.WriteCount.Increment();
        Metrics.WriteBytes.Add(bytes);
        return BlockStatus.Ok;
    }

    private BlockStatus Flush()
    {
        if (_config.CacheType == BlockCacheType.Writeback && Unistd.fdatasync(_file.Fd.Number) != 0)
        {
            return BlockStatus.IoError;
        }

        Metrics.FlushCount.Increment();
        return BlockStatus.Ok;
    }

    private BlockStatus GetId(in DescriptorChain chain, uint room, out uint written)
    {
        written = 0;
        if (room < BlockFile.IdBytes || !chain.TryWrite(0, _file.Id.Span))
        {
            return BlockStatus.IoError;
        }

        written = BlockFile.IdBytes;
        return BlockStatus.Ok;
    }

    /// <summary>Whole sectors, all of them on the drive (§5.2.6.2).</summary>
    private bool IsInRange(ulong sector, uint bytes) =>
        bytes % BlockFile.SectorBytes == 0 && sector <= _file.Sectors && bytes / BlockFile.SectorBytes <= _file.Sectors - sector;

    /// <summary>Moves exactly <paramref name="bytes"/> between the first <paramref name="count"/> iovecs and the file.</summary>
    private bool TryTransfer(bool isWrite, int count, ulong sector, uint bytes)
    {
        long position = (long)sector * BlockFile.SectorBytes;
        uint left = bytes;
        // SAFETY: the array is pinned; its entries came from a checked chain and lie in guest memory, which outlives us.
        fixed (iovec* first = _iovecs)
        {
            iovec* next = first;
            while (left > 0)
            {
                int fd = _file.Fd.Number;
                nint moved = isWrite ? Unistd.pwritev(fd, next, count, position) : Unistd.preadv(fd, next, count, position);
                if (moved < 0 && LinuxException.LastErrno == Errno.EINTR)
                {
                    continue;
                }

                if (moved <= 0)
                {
                    // An error, or the end of a file that someone has cut short.
                    return false;
                }

                left -= (uint)moved;
                position += moved;
                while (count > 0 && (nuint)moved >= next->iov_len)
                {
                    moved -= (nint)next->iov_len;
                    next++;
                    count--;
                }

                if (moved > 0)
                {
                    next->iov_base = (byte*)next->iov_base + moved;
                    next->iov_len -= (nuint)moved;
                }
            }
        }

        return true;
    }
}
