using Hearth.Linux;

namespace Hearth.Platform.Bus;

/// <summary>Something that answers reads and writes in an address range (ports or MMIO).</summary>
public interface IBusDevice
{
    /// <summary>Fills <paramref name="data"/> (1 to 8 bytes) for a read <paramref name="offset"/> bytes into the range.</summary>
    void Read(ulong offset, Span<byte> data);

    /// <summary>Takes a write of <paramref name="data"/> (1 to 8 bytes) at <paramref name="offset"/>.</summary>
    void Write(ulong offset, ReadOnlySpan<byte> data);
}

/// <summary>
/// An address space of devices: ports, or MMIO. Finds the one that owns an address; nobody's reads give all ones.
/// <para>Thread: lookups on any vCPU thread without a lock; <see cref="Insert"/> and <see cref="Remove"/> from the control thread.</para>
/// </summary>
public sealed class AddressBus
{
    private readonly Lock _writers = new();

    // Sorted by Start, replaced as a whole, so that readers see one or the other.
    private Entry[] _entries = [];

    /// <summary>Gives a range to a device.</summary>
    /// <exception cref="HearthException">The range is empty, wraps, or overlaps another device's.</exception>
    public void Insert(ulong start, ulong length, IBusDevice device)
    {
        lock (_writers)
        {
            if (length == 0 || start > ulong.MaxValue - (length - 1))
            {
                throw new HearthException($"The bus range of {length} bytes at 0x{start:x} is empty or wraps around.");
            }

            foreach (Entry entry in _entries)
            {
                if (start <= entry.Last && entry.Start <= start + (length - 1))
                {
                    throw new HearthException($"The bus range of {length} bytes at 0x{start:x} overlaps another device at 0x{entry.Start:x}.");
                }
            }

            Entry[] next = [.. _entries, new Entry(start, start + (length - 1), device)];
            Array.Sort(next, static (a, b) => a.Start.CompareTo(b.Start));
            Volatile.Write(ref _entries, next);
        }
    }

    /// <summary>Takes the range that starts at <paramref name="start"/> away; false if there is none.</summary>
    public bool Remove(ulong start)
    {
        lock (_writers)
        {
            Entry[] next = Array.FindAll(_entries, e => e.Start != start);
            bool removed = next.Length != _entries.Length;
            Volatile.Write(ref _entries, next);
            return removed;
        }
    }

    /// <summary>Reads; false (and all ones in <paramref name="data"/>) where no device answers.</summary>
    public bool Read(ulong address, Span<byte> data)
    {
        if (TryFind(address, data.Length, out Entry entry))
        {
            entry.Device.Read(address - entry.Start, data);
            return true;
        }

        data.Fill(0xff);
        return false;
    }

    /// <summary>Writes; false where no device answers.</summary>
    public bool Write(ulong address, ReadOnlySpan<byte> data)
    {
        if (TryFind(address, data.Length, out Entry entry))
        {
            entry.Device.Write(address - entry.Start, data);
            return true;
        }

        return false;
    }

    private bool TryFind(ulong address, int length, out Entry found)
    {
        Entry[] entries = Volatile.Read(ref _entries);
        int low = 0;
        int high = entries.Length - 1;
        while (low <= high)
        {
            int middle = (low + high) >>> 1;
            ref readonly Entry entry = ref entries[middle];
            if (address < entry.Start)
            {
                high = middle - 1;
            }
            else if (address > entry.Last)
            {
                low = middle + 1;
            }
            else
            {
                found = entry;
                // An access that runs past the end of its device's range belongs to nobody.
                return (ulong)length - 1 <= entry.Last - address;
            }
        }

        found = default;
        return false;
    }

    private readonly record struct Entry(ulong Start, ulong Last, IBusDevice Device);
}
