using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Hearth.Linux;
using Hearth.Linux.Native;

namespace Hearth.Platform.Memory;

/// <summary>How guest RAM is backed.</summary>
public enum GuestMemoryBacking
{
    /// <summary>Private anonymous memory: the default, seen by nobody else.</summary>
    Anonymous,

    /// <summary>A shared memfd, which vhost-user back ends map too.</summary>
    SharedMemfd,
}

/// <summary>
/// A run of guest RAM. <paramref name="Fd"/> is null for private memory; otherwise the run starts at
/// <paramref name="FdOffset"/> bytes into that file.
/// </summary>
public sealed record GuestMemoryRegion(GuestAddress Base, ulong LengthBytes, MemoryMapping Mapping, FileDescriptor? Fd, long FdOffset);

/// <summary>
/// The guest's RAM, and the only way to it: every access is checked against the regions before a byte moves.
/// <para>Shape: one region below the 32-bit MMIO gap, and a second one at 4 GiB for what does not fit there.</para>
/// <para>The guest runs on other threads and may change any byte at any time: what is read is copied once, checked,
/// and only the copy is used. Spans and pointers over guest memory are for payload and for the rings' own fields.</para>
/// <para>Thread: any. Regions live until <see cref="Dispose"/>, which comes after every vCPU and device loop has ended.</para>
/// </summary>
public sealed unsafe class GuestMemory : IDisposable
{
    /// <summary>Where RAM stops below 4 GiB: devices, the local APICs and the IOAPIC live above it.</summary>
    public const ulong MmioGapStart = 0xC000_0000;

    /// <summary>Where RAM goes on.</summary>
    public const ulong MmioGapEnd = 0x1_0000_0000;

    private readonly GuestMemoryRegion[] _regions;
    private readonly FileDescriptor? _memfd;

    private GuestMemory(GuestMemoryRegion[] regions, FileDescriptor? memfd)
    {
        _regions = regions;
        _memfd = memfd;
    }

    /// <summary>The regions in address order.</summary>
    public IReadOnlyList<GuestMemoryRegion> Regions => _regions;

    /// <summary>RAM in bytes, without the gap.</summary>
    public ulong SizeBytes
    {
        get
        {
            ulong sum = 0;
            foreach (GuestMemoryRegion region in _regions)
            {
                sum += region.LengthBytes;
            }

            return sum;
        }
    }

    /// <summary>The address one past the last byte of RAM.</summary>
    public GuestAddress End => _regions[^1].Base + _regions[^1].LengthBytes;

    /// <summary>Makes zeroed RAM of <paramref name="sizeBytes"/> (a multiple of 4096; of 2 MiB with <see cref="HugePages.Hugetlbfs2M"/>), backed lazily.</summary>
    /// <exception cref="LinuxException">The host cannot map that much, or has no such pages.</exception>
    public static GuestMemory Create(ulong sizeBytes, GuestMemoryBacking backing = GuestMemoryBacking.Anonymous, HugePages pages = HugePages.None)
    {
        ArgumentOutOfRangeException.ThrowIfZero(sizeBytes);
        bool isHuge = pages == HugePages.Hugetlbfs2M;
        ArgumentOutOfRangeException.ThrowIfNotEqual(sizeBytes % (isHuge ? MemoryMapping.HugePageBytes : 4096), 0UL, nameof(sizeBytes));
        // Huge pages are a file's, whoever sees it.
        FileDescriptor? memfd = isHuge || backing == GuestMemoryBacking.SharedMemfd ? CreateMemfd(sizeBytes, isHuge) : null;
        var regions = new List<GuestMemoryRegion>(2);
        try
        {
            ulong low = Math.Min(sizeBytes, MmioGapStart);
            regions.Add(Map(new GuestAddress(0), low, memfd, 0, pages));
            if (sizeBytes > low)
            {
                regions.Add(Map(new GuestAddress(MmioGapEnd), sizeBytes - low, memfd, (long)low, pages));
            }

            return new GuestMemory([.. regions], memfd);
        }
        catch
        {
            regions.ForEach(static region => region.Mapping.Dispose());
            memfd?.Dispose();
            throw;
        }
    }

    /// <summary>
    /// The host address of <paramref name="length"/> bytes at <paramref name="address"/>, if all of them lie in one
    /// region. For iovecs handed to the kernel and for ring fields; valid until <see cref="Dispose"/>.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryGetPointer(GuestAddress address, ulong length, out byte* pointer)
    {
        foreach (GuestMemoryRegion region in _regions)
        {
            // An address below the region wraps to a huge offset, which fails the first comparison.
            ulong offset = unchecked(address.Value - region.Base.Value);
            if (offset < region.LengthBytes && length <= region.LengthBytes - offset)
            {
                // SAFETY: offset + length <= LengthBytes, and the mapping is exactly LengthBytes long.
                pointer = region.Mapping.Address + offset;
                return true;
            }
        }

        pointer = null;
        return false;
    }

    /// <summary>Whether all of <paramref name="length"/> bytes at <paramref name="address"/> lie in one region.</summary>
    public bool Contains(GuestAddress address, ulong length) => TryGetPointer(address, length, out _);

    /// <summary>A view of guest RAM for payload: to fill, to copy, to hand to a system call. Never parsed in place.</summary>
    public bool TryGetSpan(GuestAddress address, uint length, out Span<byte> span)
    {
        if (length <= int.MaxValue && TryGetPointer(address, length, out byte* pointer))
        {
            // SAFETY: TryGetPointer proved that `length` bytes lie behind `pointer`.
            span = new Span<byte>(pointer, (int)length);
            return true;
        }

        span = default;
        return false;
    }

    /// <summary>Copies a structure out of guest RAM once.</summary>
    public bool TryRead<T>(GuestAddress address, out T value)
        where T : unmanaged
    {
        if (TryGetPointer(address, (ulong)sizeof(T), out byte* pointer))
        {
            // SAFETY: sizeof(T) bytes are readable there; guests need not align, so neither do we.
            value = Unsafe.ReadUnaligned<T>(pointer);
            return true;
        }

        value = default;
        return false;
    }

    /// <summary>Copies a structure into guest RAM.</summary>
    public bool TryWrite<T>(GuestAddress address, in T value)
        where T : unmanaged
    {
        if (TryGetPointer(address, (ulong)sizeof(T), out byte* pointer))
        {
            // SAFETY: sizeof(T) bytes are writable there.
            Unsafe.WriteUnaligned(pointer, value);
            return true;
        }

        return false;
    }

    /// <summary>Copies guest RAM into <paramref name="destination"/>.</summary>
    public bool TryRead(GuestAddress address, Span<byte> destination)
    {
        if (!TryGetSpan(address, (uint)destination.Length, out Span<byte> source))
        {
            return false;
        }

        source.CopyTo(destination);
        return true;
    }

    /// <summary>Copies <paramref name="source"/> into guest RAM.</summary>
    public bool TryWrite(GuestAddress address, ReadOnlySpan<byte> source)
    {
        if (!TryGetSpan(address, (uint)source.Length, out Span<byte> destination))
        {
            return false;
        }

        source.CopyTo(destination);
        return true;
    }

    /// <summary>As <see cref="TryWrite(GuestAddress, ReadOnlySpan{byte})"/>, where our own layout says it must fit.</summary>
    public void Write(GuestAddress address, ReadOnlySpan<byte> source)
    {
        if (!TryWrite(address, source))
        {
            ThrowOutside(address, (ulong)source.Length);
        }
    }

    /// <summary>As <see cref="TryWrite{T}"/>, where our own layout says it must fit.</summary>
    public void Write<T>(GuestAddress address, in T value)
        where T : unmanaged
    {
        if (!TryWrite(address, value))
        {
            ThrowOutside(address, (ulong)sizeof(T));
        }
    }

    public void Dispose()
    {
        foreach (GuestMemoryRegion region in _regions)
        {
            region.Mapping.Dispose();
        }

        _memfd?.Dispose();
    }

    private static FileDescriptor CreateMemfd(ulong sizeBytes, bool isHuge)
    {
        uint huge = isHuge ? SysMman.MFD_HUGETLB | SysMman.MFD_HUGE_2MB : 0;
        var memfd = new FileDescriptor(FileDescriptor.Check(
            SysMman.memfd_create("hearth-guest-ram", SysMman.MFD_CLOEXEC | SysMman.MFD_ALLOW_SEALING | huge), "memfd_create()", isHuge ? "Has this kernel huge pages of 2 MiB (CONFIG_HUGETLBFS)?" : null));
        try
        {
            FileDescriptor.Check(Unistd.ftruncate(memfd.Number, checked((long)sizeBytes)), $"ftruncate({sizeBytes} bytes of guest memory)");
            // Whoever is given the file could otherwise cut it short, and our next access would be a SIGBUS.
            FileDescriptor.Check(
                Fcntl.fcntl(memfd.Number, Fcntl.F_ADD_SEALS, Fcntl.F_SEAL_SHRINK | Fcntl.F_SEAL_GROW | Fcntl.F_SEAL_SEAL), "fcntl(F_ADD_SEALS)");
            return memfd;
        }
        catch
        {
            memfd.Dispose();
            throw;
        }
    }

    private static GuestMemoryRegion Map(GuestAddress start, ulong length, FileDescriptor? memfd, long offset, HugePages pages)
    {
        MemoryMapping mapping = memfd is null ? MemoryMapping.Anonymous(length)
            : pages == HugePages.Hugetlbfs2M ? MemoryMapping.SharedHuge(memfd, offset, length)
            : MemoryMapping.Shared(memfd, offset, length);
        try
        {
            if (pages == HugePages.Transparent)
            {
                mapping.PreferHugePages();
            }

            return new GuestMemoryRegion(start, length, mapping, memfd, offset);
        }
        catch
        {
            mapping.Dispose();
            throw;
        }
    }

    [DoesNotReturn]
    private static void ThrowOutside(GuestAddress address, ulong length) =>
        throw new HearthException($"{length} bytes at guest address {address} lie outside guest memory. Give the guest more memory (mem_size_mib).");
}
