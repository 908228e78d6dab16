using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>A range of this process's address space, unmapped once. Source: mmap(2).</summary>
public sealed unsafe class MemoryMapping : IDisposable
{
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

    /// <summary>A view of <paramref name="fd"/> that this process shares with whoever else maps it.</summary>
    public static MemoryMapping Shared(FileDescriptor fd, long offset, ulong lengthBytes) =>
        Map(lengthBytes, SysMman.MAP_SHARED | SysMman.MAP_NORESERVE, fd.Number, offset, $"mmap(fd {fd.Number}, {lengthBytes} bytes)");

    public void Dispose()
    {
        if (_address is not null)
        {
            _ = SysMman.munmap(_address, (nuint)LengthBytes);
            _address = null;
        }
    }

    private static MemoryMapping Map(ulong lengthBytes, int flags, int fd, long offset, string call)
    {
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists.
        void* address = SysMman.mmap(null, (nuint)lengthBytes, SysMman.PROT_READ | SysMman.PROT_WRITE, flags, fd, offset);
        if (address == (void*)-1)
        {
            throw LinuxException.Last(call, "Is there enough memory (and vm.overcommit_memory not 2)?");
        }

        return new MemoryMapping(address, lengthBytes);
    }
}
