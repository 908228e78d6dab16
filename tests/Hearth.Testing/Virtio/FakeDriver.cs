using System.Runtime.InteropServices;
using Hearth.Platform.Memory;
using Hearth.Virtio;
using Hearth.Virtio.Queues;

namespace Hearth.Testing.Virtio;

/// <summary>
/// The driver's end of one split virtqueue, as a guest would keep it: it lays out the rings in guest memory, makes
/// chains available, direct or indirect, and takes them back. What a well-behaved driver never does goes through the
/// raw members (<see cref="SetDescriptor"/>, <see cref="PushHead"/>, <see cref="AvailIdx"/>).
/// <para>Shape: the rings start at the given address, a heap for buffers and indirect tables follows.</para>
/// </summary>
public sealed class FakeDriver
{
    public const ushort Next = 1;
    public const ushort Write = 2;
    public const ushort Indirect = 4;

    private readonly GuestMemory _memory;
    private readonly bool _eventIdx;
    private readonly Stack<ushort> _freeDescriptors = new();
    private readonly Dictionary<ushort, ushort[]> _outstanding = [];
    private readonly ulong _heapStart;
    private readonly ulong _heapEnd;
    private ulong _heap;
    private ushort _lastKicked;

    /// <param name="memory">The guest's memory.</param>
    /// <param name="address">Where the rings go; aligned to 16.</param>
    /// <param name="size">The number of descriptors.</param>
    /// <param name="features">The negotiated features; only EVENT_IDX matters here.</param>
    /// <param name="startIndex">Where the free-running indices begin, to get near their wrap-around.</param>
    /// <param name="heapBytes">Room for buffers; it is used round and round.</param>
    public FakeDriver(
        GuestMemory memory, ulong address, ushort size, ulong features = VirtioFeatures.Common, ushort startIndex = 0, uint heapBytes = 1 << 20)
    {
        _memory = memory;
        _eventIdx = (features & VirtioFeatures.RingEventIdx) != 0;
        Layout = new VirtqueueState
        {
            Ready = true,
            Size = size,
            DescriptorTable = address,
            AvailRing = address + (16UL * size),
            UsedRing = Align(address + (16UL * size) + 6 + (2UL * size), 4),
            NextAvail = startIndex,
            NextUsed = startIndex,
        };
        _heapStart = Align(Layout.UsedRing + 6 + (8UL * size), 4096);
        _heapEnd = _heapStart + heapBytes;
        _heap = _heapStart;
        AvailIdx = startIndex;
        UsedIdx = startIndex;
        SeenUsed = startIndex;
        _lastKicked = startIndex;
        UsedEvent = startIndex;
        AvailEvent = startIndex;
        for (int i = size - 1; i >= 0; i--)
        {
            _freeDescriptors.Push((ushort)i);
        }
    }

    /// <summary>Where the rings are, ready for the device.</summary>
    public VirtqueueState Layout { get; }

    public ushort Size => Layout.Size;

    /// <summary>The first address past rings and heap.</summary>
    public ulong End => _heapEnd;

    /// <summary>How many chains the device holds.</summary>
    public int Outstanding => _outstanding.Count;

    public int FreeDescriptors => _freeDescriptors.Count;

    /// <summary>avail.idx, as the device reads it.</summary>
    public ushort AvailIdx
    {
        get => Load(Layout.AvailRing + 2);
        set => Store(Layout.AvailRing + 2, value);
    }

    public ushort AvailFlags
    {
        get => Load(Layout.AvailRing);
        set => Store(Layout.AvailRing, value);
    }

    /// <summary>used.idx, as the device wrote it.</summary>
    public ushort UsedIdx
    {
        get => Load(Layout.UsedRing + 2);
        set => Store(Layout.UsedRing + 2, value);
    }

    public ushort UsedFlags => Load(Layout.UsedRing);

    /// <summary>The used index at which the driver wants an interrupt.</summary>
    public ushort UsedEvent
    {
        get => Load(Layout.AvailRing + 4 + (2UL * Size));
        set => Store(Layout.AvailRing + 4 + (2UL * Size), value);
    }

    /// <summary>The available index at which the device wants to be rung.</summary>
    public ushort AvailEvent
    {
        get => Load(Layout.UsedRing + 4 + (8UL * Size));
        set => Store(Layout.UsedRing + 4 + (8UL * Size), value);
    }

    /// <summary>How far the driver has taken used elements.</summary>
    public ushort SeenUsed { get; private set; }

    /// <summary>Takes heap memory that the device may write.</summary>
    public FakeBuffer Writable(uint length) => new(Allocate(length), length, Writable: true);

    /// <summary>Takes heap memory that the device may read, with <paramref name="content"/> in it.</summary>
    public FakeBuffer Readable(ReadOnlySpan<byte> content)
    {
        ulong address = Allocate((uint)content.Length);
        _memory.Write(new GuestAddress(address), content);
        return new FakeBuffer(address, (uint)content.Length, Writable: false);
    }

    public FakeBuffer Readable<T>(in T content)
        where T : unmanaged => Readable(MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in content)));

    /// <summary>The bytes of a buffer as they are now.</summary>
    public byte[] Bytes(FakeBuffer buffer)
    {
        var bytes = new byte[buffer.Length];
        Assert.True(_memory.TryRead(new GuestAddress(buffer.Address), bytes));
        return bytes;
    }

    /// <summary>Makes a chain of direct descriptors available.</summary>
    /// <returns>Its head.</returns>
    public ushort Add(params ReadOnlySpan<FakeBuffer> buffers)
    {
        var taken = new ushort[buffers.Length];
        for (int i = 0; i < taken.Length; i++)
        {
            taken[i] = _freeDescriptors.Pop();
        }

        for (int i = 0; i < taken.Length; i++)
        {
            bool last = i == taken.Length - 1;
            SetDescriptor(taken[i], buffers[i].Address, buffers[i].Length, Flags(buffers[i], last), last ? (ushort)0 : taken[i + 1]);
        }

        _outstanding[taken[0]] = taken;
        PushHead(taken[0]);
        return taken[0];
    }

    /// <summary>Makes a chain available whose descriptors all lie in an indirect table.</summary>
    public ushort AddIndirect(params ReadOnlySpan<FakeBuffer> buffers)
    {
        ulong table = Allocate(16 * (uint)buffers.Length);
        for (int i = 0; i < buffers.Length; i++)
        {
            bool last = i == buffers.Length - 1;
            WriteDescriptor(table + (16UL * (uint)i), buffers[i].Address, buffers[i].Length, Flags(buffers[i], last), (ushort)(last ? 0 : i + 1));
        }

        ushort head = _freeDescriptors.Pop();
        SetDescriptor(head, table, 16 * (uint)buffers.Length, Indirect, 0);
        _outstanding[head] = [head];
        PushHead(head);
        return head;
    }

    /// <summary>Takes the next chain the device gave back; fails the test if it is none the device holds.</summary>
    public bool TryTakeUsed(out UsedElement used)
    {
        if (UsedIdx == SeenUsed)
        {
            used = default;
            return false;
        }

        ulong slot = Layout.UsedRing + 4 + (8UL * (uint)(SeenUsed & (Size - 1)));
        Assert.True(_memory.TryRead(new GuestAddress(slot), out ulong element));
        SeenUsed++;
        uint id = (uint)element;
        Assert.InRange(id, 0u, Size - 1u);
        used = new UsedElement((ushort)id, (uint)(element >> 32));
        Assert.True(_outstanding.Remove(used.Head, out ushort[]? descriptors), $"Head {used.Head} came back, but the device does not hold it.");
        foreach (ushort descriptor in descriptors)
        {
            _freeDescriptors.Push(descriptor);
        }

        return true;
    }

    /// <summary>Takes one used chain, which must be there.</summary>
    public UsedElement TakeUsed()
    {
        Assert.True(TryTakeUsed(out UsedElement used), "The device gave nothing back.");
        return used;
    }

    /// <summary>Whether a driver would ring now for what it added since it last asked (virtio 1.2 §2.7.10, §2.7.13.4).</summary>
    public bool NeedsKick()
    {
        // The driver's half of the pair in Virtqueue.TryEnableNotifications: our avail.idx before their avail_event.
        Interlocked.MemoryBarrier();
        ushort now = AvailIdx;
        ushort before = _lastKicked;
        _lastKicked = now;
        if (now == before)
        {
            return false;
        }

        return _eventIdx ? (ushort)(now - AvailEvent - 1) < (ushort)(now - before) : (UsedFlags & 1) == 0;
    }

    /// <summary>
    /// Asks for an interrupt at the next used chain; false if one is there already, whose interrupt may never come.
    /// </summary>
    public bool TryEnableInterrupts()
    {
        UsedEvent = SeenUsed;
        // The driver's half of the pair in Virtqueue.NeedsNotification: our used_event before their used.idx.
        Interlocked.MemoryBarrier();
        return UsedIdx == SeenUsed;
    }

    /// <summary>Writes a descriptor of the ring's own table, whatever it says.</summary>
    public void SetDescriptor(ushort index, ulong address, uint length, ushort flags, ushort next) =>
        WriteDescriptor(Layout.DescriptorTable + (16UL * index), address, length, flags, next);

    /// <summary>Writes a descriptor anywhere.</summary>
    public void WriteDescriptor(ulong at, ulong address, uint length, ushort flags, ushort next)
    {
        _memory.Write(new GuestAddress(at), address);
        _memory.Write(new GuestAddress(at + 8), length | ((ulong)flags << 32) | ((ulong)next << 48));
    }

    /// <summary>Puts a head, whatever it is, into the available ring and moves the index.</summary>
    public void PushHead(ushort head)
    {
        ushort idx = AvailIdx;
        Store(Layout.AvailRing + 4 + (2UL * (uint)(idx & (Size - 1))), head);
        AvailIdx = (ushort)(idx + 1);
    }

    /// <summary>Takes heap memory, aligned to 16; the heap starts over when it is full.</summary>
    public ulong Allocate(uint length)
    {
        ulong start = Align(_heap, 16);
        if (start + length > _heapEnd)
        {
            start = _heapStart;
            Assert.True(start + length <= _heapEnd, $"{length} bytes do not fit the fake driver's heap.");
        }

        _heap = start + length;
        return start;
    }

    private static ushort Flags(FakeBuffer buffer, bool last) => (ushort)((buffer.Writable ? Write : 0) | (last ? 0 : Next));

    private static ulong Align(ulong address, ulong alignment) => (address + alignment - 1) & ~(alignment - 1);

    private ushort Load(ulong address)
    {
        Assert.True(_memory.TryRead(new GuestAddress(address), out ushort value));
        return value;
    }

    private void Store(ulong address, ushort value) => _memory.Write(new GuestAddress(address), value);
}
