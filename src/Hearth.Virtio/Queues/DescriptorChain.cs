using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Hearth.Linux.Native;

namespace Hearth.Virtio.Queues;

/// <summary>
/// One request of the driver: bytes the device reads, then bytes it writes, each a list of pieces of guest memory.
/// The pieces were copied out of the descriptor table and checked when the chain was popped; only what they point at
/// can still change under us.
/// <para>Shape: how the driver cut the bytes into descriptors means nothing (virtio 1.2 §2.7.4.1): empty pieces are
/// left out, neighbours joined, and everything here is addressed by byte offset.</para>
/// <para>Valid until the next <see cref="Virtqueue.TryPop"/> of the same queue. Thread: the queue's.</para>
/// </summary>
public readonly unsafe ref struct DescriptorChain
{
    private readonly ReadOnlySpan<iovec> _segments;
    private readonly int _readableCount;

    internal DescriptorChain(ushort head, ReadOnlySpan<iovec> segments, int readableCount, uint readableBytes, uint writableBytes)
    {
        Head = head;
        _segments = segments;
        _readableCount = readableCount;
        ReadableBytes = readableBytes;
        WritableBytes = writableBytes;
    }

    /// <summary>The index of the first descriptor: the chain's name in the used ring.</summary>
    public ushort Head { get; }

    /// <summary>How many bytes the device may read. With <see cref="WritableBytes"/> it makes less than 4 GiB.</summary>
    public uint ReadableBytes { get; }

    /// <summary>How many bytes the device may write.</summary>
    public uint WritableBytes { get; }

    /// <summary>The device-readable pieces as host addresses inside guest memory.</summary>
    public ReadOnlySpan<iovec> Readable => _segments[.._readableCount];

    /// <summary>The device-writable pieces as host addresses inside guest memory.</summary>
    public ReadOnlySpan<iovec> Writable => _segments[_readableCount..];

    /// <summary>
    /// Lists readable bytes from <paramref name="skipBytes"/> on, <paramref name="takeBytes"/> at most, for readv and
    /// friends. Stops where <paramref name="destination"/> is full (<see cref="Virtqueue.MaxSegments"/> always suffice).
    /// </summary>
    /// <returns>How many entries were filled.</returns>
    public int FillReadable(Span<iovec> destination, uint skipBytes = 0, uint takeBytes = uint.MaxValue) =>
        Fill(Readable, destination, skipBytes, takeBytes);

    /// <summary>As <see cref="FillReadable"/>, for the bytes the device may write.</summary>
    public int FillWritable(Span<iovec> destination, uint skipBytes = 0, uint takeBytes = uint.MaxValue) =>
        Fill(Writable, destination, skipBytes, takeBytes);

    /// <summary>Copies readable bytes out, once, however many descriptors they span; false (and nothing promised) if there are too few.</summary>
    public bool TryRead(uint offset, Span<byte> destination)
    {
        if (offset > ReadableBytes || (uint)destination.Length > ReadableBytes - offset)
        {
            return false;
        }

        foreach (ref readonly iovec segment in Readable)
        {
            if (destination.IsEmpty)
            {
                break;
            }

            if (offset >= segment.iov_len)
            {
                offset -= (uint)segment.iov_len;
                continue;
            }

            int length = (int)Math.Min((uint)segment.iov_len - offset, (uint)destination.Length);
            // SAFETY: offset + length <= iov_len, and the pop proved iov_len bytes of guest memory at iov_base.
            new ReadOnlySpan<byte>((byte*)segment.iov_base + offset, length).CopyTo(destination);
            destination = destination[length..];
            offset = 0;
        }

        return true;
    }

    /// <summary>Copies a structure out of the readable bytes.</summary>
    public bool TryRead<T>(uint offset, out T value)
        where T : unmanaged
    {
        Unsafe.SkipInit(out value);
        return TryRead(offset, MemoryMarshal.AsBytes(new Span<T>(ref value)));
    }

    /// <summary>Copies <paramref name="source"/> into the writable bytes; false, with nothing written, if it does not fit.</summary>
    public bool TryWrite(uint offset, ReadOnlySpan<byte> source)
    {
        if (offset > WritableBytes || (uint)source.Length > WritableBytes - offset)
        {
            return false;
        }

        foreach (ref readonly iovec segment in Writable)
        {
            if (source.IsEmpty)
            {
                break;
            }

            if (offset >= segment.iov_len)
            {
                offset -= (uint)segment.iov_len;
                continue;
            }

            int length = (int)Math.Min((uint)segment.iov_len - offset, (uint)source.Length);
            // SAFETY: offset + length <= iov_len, and the pop proved iov_len bytes of guest memory at iov_base.
            source[..length].CopyTo(new Span<byte>((byte*)segment.iov_base + offset, length));
            source = source[length..];
            offset = 0;
        }

        return true;
    }

    /// <summary>Writes the very last writable byte, where block and SCSI devices put a status; false if there is none.</summary>
    public bool TryWriteLast(byte value)
    {
        if (WritableBytes == 0)
        {
            return false;
        }

        ref readonly iovec last = ref _segments[^1];
        // SAFETY: segments are never empty, and the pop proved iov_len bytes of guest memory at iov_base.
        ((byte*)last.iov_base)[last.iov_len - 1] = value;
        return true;
    }

    private static int Fill(ReadOnlySpan<iovec> segments, Span<iovec> destination, uint skip, uint take)
    {
        int count = 0;
        foreach (ref readonly iovec segment in segments)
        {
            if (take == 0 || count == destination.Length)
            {
                break;
            }

            if (skip >= segment.iov_len)
            {
                skip -= (uint)segment.iov_len;
                continue;
            }

            uint length = Math.Min((uint)segment.iov_len - skip, take);
            // SAFETY: pointer arithmetic only; skip + length <= iov_len keeps it inside the checked piece.
            destination[count++] = new iovec { iov_base = (byte*)segment.iov_base + skip, iov_len = length };
            take -= length;
            skip = 0;
        }

        return count;
    }
}
