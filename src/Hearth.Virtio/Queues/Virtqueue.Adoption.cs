namespace Hearth.Virtio.Queues;

/// <content>A queue that another process served, and that comes back.</content>
public sealed unsafe partial class Virtqueue
{
    // Heads that the other process took and never gave back; popped before anything else.
    private ushort[] _orphans = [];
    private int _orphanCount;

    /// <summary>Goes on where the other process stopped in good order.</summary>
    /// <param name="nextAvail">The free-running index of the next available entry, by its word.</param>
    public void Adopt(ushort nextAvail)
    {
        if (_size == 0)
        {
            return;
        }

        _nextAvail = nextAvail;
        _availSeen = nextAvail;
        // SAFETY: an aligned field of the used ring, proved by TryCreate.
        _nextUsed = Volatile.Read(ref *_usedIdx);
        _publishedUsed = _nextUsed;
        _signalledUsed = _nextUsed;
        // Nobody here knows which interrupts the other has sent.
        _alwaysNotify = true;
    }

    /// <summary>
    /// Goes on where the other process died: the chains it had taken and not given back come out of
    /// <see cref="TryPop"/> once more, before any new one.
    /// <para>Which they are is read from the rings' last entries: a head that was made available more often than it
    /// was used. That is wrong only where one chain was held while the driver reused the others for a whole round of
    /// the ring; the driver then misses one completion, or sees one too many and stops using the queue.</para>
    /// </summary>
    public void AdoptOrphaned()
    {
        if (_size == 0)
        {
            return;
        }

        // SAFETY: aligned fields and entries of the rings, proved by TryCreate; every index is masked to the ring.
        ushort avail = Volatile.Read(ref *_availIdx);
        Adopt(avail);
        ushort held = unchecked((ushort)(avail - _nextUsed));
        if (held > _size)
        {
            Break(QueueFault.AvailIndexJump);
            return;
        }

        var balance = new short[_size];
        for (int i = 1; i <= _size; i++)
        {
            ushort head = Volatile.Read(ref _availRing[unchecked((ushort)(avail - i)) & (_size - 1)]);
            if (head >= _size)
            {
                Break(QueueFault.BadHead);
                return;
            }

            balance[head]++;
        }

        // Both windows begin at the same free-running index, so that entries never written cancel out.
        for (int i = 1; i <= _size - held; i++)
        {
            // SAFETY: as above: the first half of an entry of the used ring.
            uint head = Volatile.Read(ref *(uint*)(_usedRing + (8 * (unchecked((ushort)(_nextUsed - i)) & (_size - 1)))));
            if (head < _size)
            {
                balance[head]--;
            }
        }

        _orphans = new ushort[held];
        _orphanCount = 0;
        for (int head = 0; head < balance.Length && _orphanCount < held; head++)
        {
            if (balance[head] > 0)
            {
                _orphans[_orphanCount++] = (ushort)head;
            }
        }
    }
}
