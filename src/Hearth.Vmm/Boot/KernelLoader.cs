using System.Buffers.Binary;
using Hearth.Platform.Memory;

namespace Hearth.Vmm.Boot;

/// <summary>Puts a kernel and an initrd into guest memory. Nothing about the files is trusted.</summary>
public static class KernelLoader
{
    private const ulong PageBytes = 4096;

    // Kernels older than their own setup header's initrd_addr_max field say this; ELF kernels have no header.
    private const ulong DefaultInitrdMax = 0x37ff_ffff;

    /// <summary>Loads an ELF <c>vmlinux</c> or a <c>bzImage</c>.</summary>
    /// <exception cref="KernelLoadException">The file is missing, broken, for another machine, or does not fit.</exception>
    public static LoadedKernel LoadKernel(GuestMemory memory, string path)
    {
        using KernelFile file = KernelFile.Open(path, "kernel");
        if (file.Length == 0)
        {
            throw new KernelLoadException(path, "the kernel is empty or not a regular file", "Copy or build it again.");
        }

        Span<byte> start = stackalloc byte[0x206];
        start.Clear();
        int length = (int)Math.Min((ulong)start.Length, file.Length);
        file.ReadExactly(0, start[..length], "its first bytes");
        if (ElfKernel.Recognises(BinaryPrimitives.ReadUInt32LittleEndian(start)))
        {
            return ElfKernel.Load(file, memory);
        }

        if (BzImageKernel.Recognises(start))
        {
            return BzImageKernel.Load(file, memory);
        }

        throw new KernelLoadException(
            path,
            $"it is neither an ELF file nor a bzImage ({Guess(start)})",
            "Give an uncompressed vmlinux (hearth kernel build) or a distribution's vmlinuz.");
    }

    /// <summary>Loads an initrd as high as RAM below the MMIO gap and the kernel allow, above the kernel.</summary>
    /// <exception cref="KernelLoadException">The file is missing, empty, or does not fit.</exception>
    public static LoadedInitrd LoadInitrd(GuestMemory memory, string path, LoadedKernel kernel)
    {
        using KernelFile file = KernelFile.Open(path, "initrd");
        if (file.Length == 0)
        {
            throw new KernelLoadException(path, "the initrd is empty", "Leave initrd_path out to boot without one.");
        }

        GuestMemoryRegion low = memory.Regions[0];
        ulong top = Math.Min(low.Base.Value + low.LengthBytes, HighestInitrdByte(kernel) + 1);
        ulong bottom = (kernel.End.Value + PageBytes - 1) & ~(PageBytes - 1);
        if (bottom >= top || file.Length > top - bottom)
        {
            ulong room = bottom < top ? top - bottom : 0;
            throw new KernelLoadException(
                path,
                $"the initrd of {file.Length} bytes does not fit into the {room} bytes that the kernel leaves of the guest's {memory.SizeBytes >> 20} MiB of memory",
                "Give the guest more memory (mem_size_mib).");
        }

        var address = new GuestAddress((top - file.Length) & ~(PageBytes - 1));
        if (address.Value < bottom)
        {
            address = new GuestAddress(bottom);
        }

        file.ReadInto(memory, address, 0, file.Length, "the initrd");
        return new LoadedInitrd(address, file.Length);
    }

    private static string Guess(ReadOnlySpan<byte> start) => start switch
    {
        [0x1f, 0x8b, ..] => "it is compressed with gzip",
        [0xfd, (byte)'7', (byte)'z', (byte)'X', (byte)'Z', ..] => "it is compressed with xz",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "it is compressed with zstd",
        _ when start.StartsWith("!<arch>"u8) => "it is a Debian package, for hearth kernel import",
        _ when start[0x38..].StartsWith("ARM\x64"u8) => "it is a kernel for arm64",
        _ when start[0x1fe..].StartsWith((ReadOnlySpan<byte>)[0x55, 0xaa]) => "it has a boot sector's flag, but not the magic HdrS",
        _ => "it has the magic number of neither",
    };

    private static ulong HighestInitrdByte(LoadedKernel kernel)
    {
        const int InitrdAddrMax = 0x22c - BzImageKernel.SetupHeaderOffset;
        ReadOnlySpan<byte> header = kernel.SetupHeader.Span;
        if (header.Length < InitrdAddrMax + sizeof(uint))
        {
            // A 64-bit kernel maps all of RAM below 4 GiB before it looks at the initrd.
            return kernel.Protocol == BootProtocol.Pvh || header.IsEmpty ? uint.MaxValue : DefaultInitrdMax;
        }

        uint most = BinaryPrimitives.ReadUInt32LittleEndian(header[InitrdAddrMax..]);
        return most == 0 ? DefaultInitrdMax : most;
    }
}
