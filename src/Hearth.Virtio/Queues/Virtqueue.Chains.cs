using Hearth.Linux.Native;
using Hearth.Platform.Memory;

namespace Hearth.Virtio.Queues;

/// <summary>How a chain's descriptors become checked pieces of guest memory (virtio 1.2 §2.7.4, §2.7.5).</summary>
public sealed unsafe partial class Virtqueue
{
    private const ushort DescNext = 1;
    private const ushort DescWrite = 2;
    private const ushort DescIndirect = 4;

    /// <summary>Copies and checks a chain's descriptors into <see cref="_segments"/>; false if it is malformed.</summary>
    private bool TryWalk(ushort head, out DescriptorChain chain)
    {
        chain = default;
        byte* table = _descriptors;
        uint tableLength = _size;
        uint left = tableLength;
        uint index = head;
        bool inIndirect = false;
        bool sawWritable = false;
        int count = 0;
        int readable = 0;
        ulong readableBytes = 0;
        ulong writableBytes = 0;
        while (true)
        {
            // A chain longer than its table visits some descriptor twice, and would for ever.
            if (left-- == 0)
            {
                return false;
            }

            // Each half is loaded exactly once: the driver may rewrite the descriptor while we look.
            // SAFETY: index < tableLength, and tableLength descriptors were proved to lie at `table`.
            ulong address = Volatile.Read(ref *(ulong*)(table + (index * DescriptorBytes)));
            ulong rest = Volatile.Read(ref *(ulong*)(table + (index * DescriptorBytes) + 8));
            uint length = (uint)rest;
            uint flags = (ushort)(rest >> 32);
            if ((flags & DescIndirect) != 0)
            {
                // §2.7.5.3: negotiated, not nested, the chain's last; its own write flag is to be ignored.
                if (!_indirect || inIndirect || (flags & DescNext) != 0
                    || length == 0 || length % DescriptorBytes != 0 || length / DescriptorBytes > MaxSegments
                    || !_memory.TryGetPointer(new GuestAddress(address), length, out table))
                {
                    return false;
                }

                inIndirect = true;
                tableLength = length / DescriptorBytes;
                left = tableLength;
                index = 0;
                continue;
            }

            bool writable = (flags & DescWrite) != 0;
            // §2.7.4.2: everything readable comes before anything writable.
            if (sawWritable && !writable)
            {
                return false;
            }

            sawWritable = writable;
            if (length != 0)
            {
                if (!_memory.TryGetPointer(new GuestAddress(address), length, out byte* pointer))
                {
                    return false;
                }

                int firstOfKind = writable ? readable : 0;
                // SAFETY: pointer comparison only.
                if (count > firstOfKind && (byte*)_segments[count - 1].iov_base + _segments[count - 1].iov_len == pointer)
                {
                    _segments[count - 1].iov_len += length;
                }
                else if (count == MaxSegments)
                {
                    return false;
                }
                else
                {
                    _segments[count++] = new iovec { iov_base = pointer, iov_len = length };
                }

                if (writable)
                {
                    writableBytes += length;
                }
                else
                {
                    readableBytes += length;
                    readable = count;
                }
            }

            if ((flags & DescNext) == 0)
            {
                break;
            }

            index = (ushort)(rest >> 48);
            if (index >= tableLength)
            {
                return false;
            }
        }

        // §2.7.4.2: a chain describes less than 4 GiB. At most 2048 lengths of 32 bits each were summed.
        if (readableBytes + writableBytes > uint.MaxValue)
        {
            return false;
        }

        chain = new DescriptorChain(head, new ReadOnlySpan<iovec>(_segments, 0, count), readable, (uint)readableBytes, (uint)writableBytes);
        return true;
    }
}
