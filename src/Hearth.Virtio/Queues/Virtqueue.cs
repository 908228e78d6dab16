using System.Runtime.CompilerServices;
using Hearth.Linux.Native;
using Hearth.Platform.Memory;

namespace Hearth.Virtio.Queues;

/// <summary>
/// The device's end of a split virtqueue. Knows guest memory and nothing else.
/// <para>A device's turn: <see cref="TryPop"/> until it says no, <see cref="AddUsed"/> for each, then
/// <see cref="PublishUsed"/>, and an interrupt if <see cref="NeedsNotification"/>; before it sleeps,
/// <see cref="TryEnableNotifications"/>.</para>
/// <para>The driver is hostile: whatever it writes, nothing here throws or touches a byte outside guest memory. A
/// malformed chain is given back unused (length 0) and counted; a ring that makes no sense breaks the queue, which
/// then stays empty until the device is reset.</para>
/// <para>Thread: one at a time, under the device's Gate. The driver runs beside it, and the fences below are for it.</para>
/// <para>Source: virtio 1.2 §2.7. Allocates nothing after creation.</para>
/// </summary>
public sealed unsafe partial class Virtqueue
{
    /// <summary>The most pieces a chain may have, and the largest queue: what one readv takes (IOV_MAX).</summary>
    public const int MaxSegments = 1024;

    private const ushort AvailNoInterrupt = 1;
    private const ushort UsedNoNotify = 1;
    private const uint DescriptorBytes = 16;

    private readonly GuestMemory _memory;
    private readonly VirtqueueState _layout;
    private readonly bool _indirect;
    private readonly bool _eventIdx;
    private readonly ushort _size;

    // Host addresses of the rings' fields, checked once at creation: guest RAM never moves while the guest runs.
    private readonly byte* _descriptors;
    private readonly ushort* _availFlags;
    private readonly ushort* _availIdx;
    private readonly ushort* _availRing;
    private readonly ushort* _usedEvent;
    private readonly ushort* _usedFlags;
    private readonly ushort* _usedIdx;
    private readonly byte* _usedRing;
    private readonly ushort* _availEvent;

    // Pinned, so that chains can hand its slices to system calls.
    private readonly iovec[] _segments;

    private ushort _nextAvail;
    private ushort _availSeen;
    private ushort _nextUsed;
    private ushort _publishedUsed;
    private ushort _signalledUsed;
    private bool _alwaysNotify;

    private Virtqueue(GuestMemory memory, VirtqueueState layout, ulong features, byte* descriptors, byte* avail, byte* used)
    {
        _memory = memory;
        _layout = layout;
        _indirect = (features & VirtioFeatures.RingIndirectDesc) != 0;
        _eventIdx = (features & VirtioFeatures.RingEventIdx) != 0;
        _size = layout.Size;
        _descriptors = descriptors;
        // SAFETY: TryCreate proved room for 6 + 2 * size bytes at `avail` and 6 + 8 * size bytes at `used` (§2.7.6, §2.7.8).
        _availFlags = (ushort*)avail;
        _availIdx = (ushort*)(avail + 2);
        _availRing = (ushort*)(avail + 4);
        _usedEvent = (ushort*)(avail + 4 + (2 * _size));
        _usedFlags = (ushort*)used;
        _usedIdx = (ushort*)(used + 2);
        _usedRing = used + 4;
        _availEvent = (ushort*)(used + 4 + (8 * _size));
        _segments = GC.AllocateUninitializedArray<iovec>(MaxSegments, pinned: true);
        _nextAvail = layout.NextAvail;
        _availSeen = layout.NextAvail;
        _nextUsed = layout.NextUsed;
        _publishedUsed = layout.NextUsed;
        _signalledUsed = layout.NextUsed;
        // After a restore nobody knows which interrupts got through.
        _alwaysNotify = layout.NextUsed != 0;
    }

    private Virtqueue(GuestMemory memory, VirtqueueState layout)
    {
        _memory = memory;
        _layout = layout;
        _segments = [];
    }

    /// <summary>False for a queue that the driver left out: always empty.</summary>
    public bool IsEnabled => _size != 0;

    /// <summary>The number of descriptors; 0 if not enabled.</summary>
    public ushort Size => _size;

    /// <summary>Why the queue stopped; <see cref="QueueFault.None"/> while it works.</summary>
    public QueueFault Fault { get; private set; }

    /// <summary>How many malformed chains were given back unused.</summary>
    public long MalformedChains { get; private set; }

    /// <summary>Called once when the queue breaks.</summary>
    internal Action<QueueFault>? Broken { get; init; }

    /// <summary>
    /// Checks where the driver put a queue, and opens it. A layout that is not <see cref="VirtqueueState.Ready"/>
    /// gives a disabled queue.
    /// </summary>
    /// <returns>What is wrong with it; <see cref="QueueFault.None"/> if <paramref name="queue"/> is there.</returns>
    public static QueueFault TryCreate(
        GuestMemory memory, VirtqueueState layout, ushort maxSize, ulong features, Action<QueueFault>? broken, out Virtqueue? queue)
    {
        queue = null;
        if (!layout.Ready)
        {
            queue = new Virtqueue(memory, layout with { Size = 0 });
            return QueueFault.None;
        }

        uint size = layout.Size;
        if (size == 0 || size > maxSize || size > MaxSegments || (size & (size - 1)) != 0)
        {
            return QueueFault.BadSize;
        }

        if (layout.DescriptorTable % 16 != 0 || layout.AvailRing % 2 != 0 || layout.UsedRing % 4 != 0)
        {
            return QueueFault.Misaligned;
        }

        if (!memory.TryGetPointer(new GuestAddress(layout.DescriptorTable), DescriptorBytes * size, out byte* descriptors)
            || !memory.TryGetPointer(new GuestAddress(layout.AvailRing), 6 + (2 * size), out byte* avail)
            || !memory.TryGetPointer(new GuestAddress(layout.UsedRing), 6 + (8 * size), out byte* used))
        {
            return QueueFault.OutsideMemory;
        }

        queue = new Virtqueue(memory, layout, features, descriptors, avail, used) { Broken = broken };
        return QueueFault.None;
    }

    /// <summary>Takes the next chain the driver made available; false if there is none or the queue is broken.</summary>
    public bool TryPop(out DescriptorChain chain)
    {
        for (int malformed = 0; malformed <= _size; malformed++)
        {
            if (!TryTakeHead(out ushort head))
            {
                chain = default;
                return false;
            }

            if (TryWalk(head, out chain))
            {
                return true;
            }

            MalformedChains++;
            AddUsed(head, 0);
        }

        // Without this end a driver could keep the loop here for as long as it writes nonsense.
        Break(QueueFault.OnlyMalformedChains);
        chain = default;
        return false;
    }

    /// <summary>Puts the chain of the last <see cref="TryPop"/> back, to be popped again. Not after its <see cref="AddUsed"/>.</summary>
    public void UndoPop() => _nextAvail--;

    /// <summary>Where the ring was just before the chain of the last <see cref="TryPop"/>; see <see cref="Rewind"/>.</summary>
    public ushort LastPopped => unchecked((ushort)(_nextAvail - 1));

    /// <summary>
    /// Puts back every chain popped since <see cref="LastPopped"/> was <paramref name="position"/>, that one too: for a
    /// device that pops ahead of its work. None of them may have been given to <see cref="AddUsed"/>.
    /// </summary>
    public void Rewind(ushort position) => _nextAvail = position;

    /// <summary>Gives a chain back; the driver sees it at the next <see cref="PublishUsed"/>.</summary>
    /// <param name="head">The chain's <see cref="DescriptorChain.Head"/>.</param>
    /// <param name="writtenBytes">How many bytes of its writable part the device wrote, from the start (virtio 1.2 §2.7.8).</param>
    public void AddUsed(ushort head, uint writtenBytes)
    {
        if (Fault != QueueFault.None || _size == 0)
        {
            return;
        }

        // SAFETY: the index is masked to the ring, which TryCreate proved to be there.
        Unsafe.WriteUnaligned(_usedRing + (8 * (_nextUsed & (_size - 1))), head | ((ulong)writtenBytes << 32));
        _nextUsed++;
    }

    /// <summary>Shows the driver everything added since the last call.</summary>
    public void PublishUsed()
    {
        if (_nextUsed != _publishedUsed)
        {
            // Release: the elements and the payload before the index. Pairs with the driver's read barrier between
            // its load of used.idx and of the elements.
            // SAFETY: an aligned field of the used ring, proved by TryCreate.
            Volatile.Write(ref *_usedIdx, _nextUsed);
            _publishedUsed = _nextUsed;
        }
    }

    /// <summary>
    /// Whether the driver wants an interrupt for what was published since the last call (virtio 1.2 §2.7.7, §2.7.10).
    /// </summary>
    public bool NeedsNotification()
    {
        ushort published = _publishedUsed;
        ushort before = _signalledUsed;
        if (published == before)
        {
            return false;
        }

        _signalledUsed = published;
        // Full fence: our store of used.idx before our load of what the driver asks for. Pairs with the driver's fence
        // between its store of used_event (or flags) and its re-check of used.idx: one of the two sees the other.
        Interlocked.MemoryBarrier();
        if (_alwaysNotify)
        {
            _alwaysNotify = false;
            return true;
        }

        // SAFETY: aligned fields of the available ring, proved by TryCreate.
        return _eventIdx
            ? CrossesEvent(Volatile.Read(ref *_usedEvent), published, before)
            : (Volatile.Read(ref *_availFlags) & AvailNoInterrupt) == 0;
    }

    /// <summary>Asks the driver not to ring while the device is at work anyway. A hint: it may ring.</summary>
    public void DisableNotifications()
    {
        // With event-idx, an avail_event left behind is silence already.
        if (!_eventIdx && _size != 0 && Fault == QueueFault.None)
        {
            // SAFETY: an aligned field of the used ring, proved by TryCreate.
            Volatile.Write(ref *_usedFlags, UsedNoNotify);
        }
    }

    /// <summary>
    /// Asks the driver to ring for the next chain. False if one came in meanwhile, whose bell may not have rung: pop
    /// on, or it waits for ever.
    /// </summary>
    public bool TryEnableNotifications()
    {
        if (Fault != QueueFault.None || _size == 0)
        {
            return true;
        }

        // SAFETY: aligned fields of the rings, proved by TryCreate.
        if (_eventIdx)
        {
            Volatile.Write(ref *_availEvent, _nextAvail);
        }
        else
        {
            Volatile.Write(ref *_usedFlags, 0);
        }

        // Full fence: our store of avail_event before our load of avail.idx. Pairs with the driver's fence between its
        // store of avail.idx and its load of avail_event: either it rings, or we see its chain here.
        Interlocked.MemoryBarrier();
        return Volatile.Read(ref *_availIdx) == _nextAvail;
    }

    /// <summary>What a snapshot keeps. Everything used must have been published.</summary>
    public VirtqueueState Save() => _layout with { NextAvail = _nextAvail, NextUsed = _publishedUsed };

    /// <summary>vring_need_event: whether going from <paramref name="before"/> to <paramref name="now"/> passed <paramref name="wanted"/>.</summary>
    internal static bool CrossesEvent(ushort wanted, ushort now, ushort before) =>
        // Free-running 16-bit indices: differences wrap on purpose.
        unchecked((ushort)(now - wanted - 1) < (ushort)(now - before));

    private bool TryTakeHead(out ushort head)
    {
        head = 0;
        if (Fault != QueueFault.None || _size == 0)
        {
            return false;
        }

        if (_orphanCount > 0)
        {
            head = _orphans[--_orphanCount];
            return true;
        }

        if (_nextAvail == _availSeen)
        {
            // Acquire: the index before the entries and descriptors it covers. Pairs with the driver's write barrier
            // before its store of avail.idx.
            // SAFETY: an aligned field of the available ring, proved by TryCreate.
            ushort availIdx = Volatile.Read(ref *_availIdx);
            ushort pending = unchecked((ushort)(availIdx - _nextAvail));
            if (pending == 0)
            {
                return false;
            }

            if (pending > _size)
            {
                Break(QueueFault.AvailIndexJump);
                return false;
            }

            _availSeen = availIdx;
        }

        // SAFETY: the index is masked to the ring, which TryCreate proved to be there.
        head = Volatile.Read(ref _availRing[_nextAvail & (_size - 1)]);
        if (head >= _size)
        {
            Break(QueueFault.BadHead);
            return false;
        }

        _nextAvail++;
        return true;
    }

    private void Break(QueueFault fault)
    {
        Fault = fault;
        Broken?.Invoke(fault);
    }
}
