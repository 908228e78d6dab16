using System.Buffers.Binary;
using System.Numerics;
using Hearth.Platform.Memory;

namespace Hearth.Vmm.Boot;

/// <summary>
/// Loads a <c>bzImage</c>, the compressed kernel distributions ship: its protected-mode part goes to its preferred
/// address and unpacks itself from the 64-bit entry. Source: Linux Documentation/arch/x86/boot.rst.
/// </summary>
internal static class BzImageKernel
{
    /// <summary>Where the setup header starts in the file and in boot_params alike.</summary>
    public const int SetupHeaderOffset = 0x1f1;

    private const int HeaderBytes = 0x268;

    // One past init_size, the last field that is read.
    private const int MinHeaderEnd = 0x264;
    private const ushort BootFlag = 0xaa55;
    private const uint HeaderMagic = 0x5372_6448;
    private const ushort OldestVersion = 0x020c;
    private const byte LoadedHigh = 1;
    private const ushort Kernel64 = 1;
    private const ulong Entry64Offset = 0x200;
    private const int SectorBytes = 512;

    public static bool Recognises(ReadOnlySpan<byte> start) =>
        start.Length >= 0x206 && BinaryPrimitives.ReadUInt32LittleEndian(start[0x202..]) == HeaderMagic;

    public static LoadedKernel Load(KernelFile file, GuestMemory memory)
    {
        byte[] header = new byte[HeaderBytes];
        file.ReadExactly(0, header, "the bzImage setup header");
        if (BinaryPrimitives.ReadUInt16LittleEndian(header.AsSpan(0x1fe)) != BootFlag)
        {
            throw Broken(file, "its boot flag is not 0xaa55");
        }

        ushort version = BinaryPrimitives.ReadUInt16LittleEndian(header.AsSpan(0x206));
        // The header ends where its jump instruction's offset byte at 0x201 says.
        int headerEnd = Math.Min(0x202 + header[0x201], HeaderBytes);
        if (version >= OldestVersion && headerEnd < MinHeaderEnd)
        {
            throw Broken(file, $"its setup header ends at 0x{headerEnd:x}, too soon for its boot protocol");
        }

        if (version < OldestVersion)
        {
            throw new KernelLoadException(
                file.Path,
                $"its boot protocol {version >> 8}.{version & 0xff:d2} is older than 2.12",
                "Use a kernel of 3.8 or newer.");
        }

        if ((header[0x211] & LoadedHigh) == 0 || (BinaryPrimitives.ReadUInt16LittleEndian(header.AsSpan(0x236)) & Kernel64) == 0)
        {
            throw new KernelLoadException(file.Path, "it has no 64-bit entry (XLF_KERNEL_64)", "Use a 64-bit x86 kernel.");
        }

        // A header that says 0 sectors means 4; the boot sector comes on top.
        int setupSectors = header[SetupHeaderOffset] == 0 ? 4 : header[SetupHeaderOffset];
        ulong setupBytes = (ulong)(setupSectors + 1) * SectorBytes;
        // The size is in units of 16 bytes. A signature may follow, which is not loaded.
        ulong imageBytes = BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(0x1f4)) * 16UL;
        if (setupBytes > file.Length || imageBytes > file.Length - setupBytes)
        {
            throw Broken(file, $"its protected-mode part of {imageBytes} bytes should start at byte {setupBytes}, and the file has {file.Length}");
        }

        ulong loadAddress = BinaryPrimitives.ReadUInt64LittleEndian(header.AsSpan(0x258));
        uint initSize = BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(0x260));
        ulong needed = Math.Max(imageBytes, initSize);
        uint alignment = BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(0x230));
        bool misaligned = header[0x234] != 0 && (!BitOperations.IsPow2(alignment) || loadAddress % alignment != 0);
        if (loadAddress is < MemoryLayout.HighMemory or >= GuestMemory.MmioGapStart || imageBytes <= Entry64Offset || misaligned)
        {
            throw Broken(file, $"it wants to load {imageBytes} bytes at 0x{loadAddress:x}, aligned to 0x{alignment:x}");
        }

        var address = new GuestAddress(loadAddress);
        if (!memory.Contains(address, needed))
        {
            throw new KernelLoadException(
                file.Path,
                $"it needs {needed} bytes at {address} to unpack itself, outside the guest's {memory.SizeBytes >> 20} MiB of memory",
                "Give the guest more memory (mem_size_mib).");
        }

        file.ReadInto(memory, address, setupBytes, imageBytes, "its protected-mode part");
        return new LoadedKernel(
            BootProtocol.Linux64,
            address + Entry64Offset,
            address + needed,
            header.AsMemory(SetupHeaderOffset, headerEnd - SetupHeaderOffset));
    }

    private static KernelLoadException Broken(KernelFile file, string problem) =>
        new(file.Path, problem, "It is truncated or no bzImage: copy or build it again.");
}
