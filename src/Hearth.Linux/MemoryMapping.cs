using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>A range of this process's address space, unmapped once. Source: mmap(2).</summary>
public sealed unsafe class MemoryMapping : IDisposable
{
    /// <summary>x86-64's larger page, in bytes.</summary>
    public const ulong HugePageBytes = 2 << 20;

    private void* _address;

    private MemoryMapping(void* address, ulong lengthBytes)
    {
        _address = address;
        LengthBytes = lengthBytes;
    }

    /// <summary>The first byte.</summary>
    public byte* Address => (byte*)_address;

    /// <summary>The first byte's address as a number, for code that passes it on and never follows it.</summary>
    public nint AddressValue => (nint)_address;

    /// <summary>The size in bytes.</summary>
    public ulong LengthBytes { get; }

    /// <summary>Private memory that reads as zero and costs nothing until it is touched.</summary>
    public static MemoryMapping Anonymous(ulong lengthBytes) =>
        Map(lengthBytes, SysMman.MAP_PRIVATE | SysMman.MAP_ANONYMOUS | SysMman.MAP_NORESERVE, -1, 0, $"mmap({lengthBytes} bytes)");

    /// <summary>Asks for transparent huge pages. Source: madvise(2), MADV_HUGEPAGE.</summary>
    /// <exception cref="LinuxException">The kernel has none.</exception>
    public void PreferHugePages() =>
        FileDescriptor.Check(SysMman.madvise(_address, (nuint)LengthBytes, SysMman.MADV_HUGEPAGE), "madvise(MADV_HUGEPAGE)", "This kernel has no transparent huge pages.");

    /// <summary>A view of <paramref name="fd"/> that this process shares with whoever else maps it.</summary>
    public static MemoryMapping Shared(FileDescriptor fd, long offset, ulong lengthBytes) =>
        Map(lengthBytes, SysMman.MAP_SHARED | SysMman.MAP_NORESERVE, fd.Number, offset, $"mmap(fd {fd.Number}, {lengthBytes} bytes)");

    /// <summary>A view of a file of huge pages, which are set aside for it now: later there may be none.</summary>
    /// <exception cref="LinuxException">The host has not enough of them.</exception>
    public static MemoryMapping SharedHuge(FileDescriptor fd, long offset, ulong lengthBytes) =>
        Map(
            lengthBytes,
            SysMman.MAP_SHARED,
            fd.Number,
            offset,
            $"mmap({lengthBytes / HugePageBytes} huge pages of 2 MiB)",
            "Are so many free (HugePages_Free of /proc/meminfo)? sysctl vm.nr_hugepages=N makes them.");

    public void Dispose()
    {
        if (_address is not null)
        {
            _ = SysMman.munmap(_address, (nuint)LengthBytes);
            _address = null;
        }
    }

    private static MemoryMapping Map(ulong lengthBytes, int flags, int fd, long offset, string call, string remedy = "Is there enough memory (and vm.overcommit_memory not 2)?")
    {
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists.
        void* address = SysMman.mmap(null, (nuint)lengthBytes, SysMman.PROT_READ | SysMman.PROT_WRITE, flags, fd, offset);
        if (address == (void*)-1)
        {
            throw LinuxException.Last(call, remedy);
        }

        return new MemoryMapping(address, lengthBytes);
    }
}
