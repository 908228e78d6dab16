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
    /// <para>Which they are, no ring says. They are found from the last entries of both, <see cref="FindOrphans"/>:
    /// without fail where the other answered in order, or had nothing to do at some time in the last round of the ring.
    /// Otherwise a chain may be taken for another; the driver then misses a completion, and stops using the queue at one
    /// that it does not know.</para>
    /// </summary>
    public void AdoptOrphaned()
    {
        if (_size == 0)
        {
            return;
        }

        // SAFETY: an aligned field of the available ring, proved by TryCreate.
        ushort avail = Volatile.Read(ref *_availIdx);
        Adopt(avail);
        ushort held = unchecked((ushort)(avail - _nextUsed));
        if (held > _size)
        {
            Break(QueueFault.AvailIndexJump);
            return;
        }

        var made = new ushort[_size];
        var done = new ushort[_size - held];
        for (int i = 0; i < made.Length; i++)
        {
            // Both begin at the same free-running index: what was never written there is in both, and cancels out.
            int slot = unchecked((ushort)(avail - _size + i)) & (_size - 1);
            // SAFETY: the index is masked to the rings, which TryCreate proved to be there; the used ring's entry is 8
            // bytes, of which the first 4 are the head.
            made[i] = Volatile.Read(ref _availRing[slot]);
            uint used = i < done.Length ? Volatile.Read(ref *(uint*)(_usedRing + (8 * slot))) : 0;
            if (made[i] >= _size || used >= _size)
            {
                Break(QueueFault.BadHead);
                return;
            }

            if (i < done.Length)
            {
                done[i] = (ushort)used;
            }
        }

        _orphans = FindOrphans(made, done, _size);
        _orphanCount = _orphans.Length;
    }

    /// <summary>
    /// Guesses which chains are with the device. Suppose that it held nothing at one time: what was made available since
    /// and not used since is what it holds now, each head once at most. Each time in the past is tried, and where the
    /// sum comes out like that, the heads get a vote.
    /// </summary>
    /// <param name="made">The heads last made available, oldest first.</param>
    /// <param name="done">The heads last used, from the same free-running index on; shorter by what is held.</param>
    /// <param name="size">The number of descriptors, which is more than any head.</param>
    /// <returns>As many heads as are held or fewer, the surest last.</returns>
    internal static ushort[] FindOrphans(ReadOnlySpan<ushort> made, ReadOnlySpan<ushort> done, int size)
    {
        var balance = new short[size];
        foreach (ushort head in made)
        {
            balance[head]++;
        }

        foreach (ushort head in done)
        {
            balance[head]--;
        }

        var votes = new int[size];
        int impossible = 0;
        for (int head = 0; head < size; head++)
        {
            votes[head] = balance[head] > 0 ? 1 : 0;
            impossible += IsImpossible(balance[head]);
        }

        for (int past = 0; past <= done.Length; past++)
        {
            if (impossible == 0)
            {
                for (int head = 0; head < size; head++)
                {
                    votes[head] += balance[head];
                }
            }

            if (past < done.Length)
            {
                impossible += Change(ref balance[made[past]], -1) + Change(ref balance[done[past]], 1);
            }
        }

        var heads = new ushort[size];
        for (int head = 0; head < size; head++)
        {
            heads[head] = (ushort)head;
        }

        Array.Sort(votes, heads);
        int held = Math.Min(made.Length - done.Length, size - votes.AsSpan().Count(0));
        return heads[^held..];
    }

    private static int Change(ref short balance, short by)
    {
        int before = IsImpossible(balance);
        balance += by;
        return IsImpossible(balance) - before;
    }

    private static int IsImpossible(short balance) => balance is < 0 or > 1 ? 1 : 0;
}
