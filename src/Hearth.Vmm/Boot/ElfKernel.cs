using System.Runtime.InteropServices;
using Hearth.Platform.Memory;

namespace Hearth.Vmm.Boot;

/// <summary>
/// Loads an uncompressed <c>vmlinux</c>: a 64-bit little-endian x86-64 ELF executable, its segments at their physical
/// addresses. Where it carries the Xen PVH note, that is its entry. Source: ELF-64 Object File Format 1.5; elfnote.h.
/// </summary>
internal static class ElfKernel
{
    private const uint Magic = 0x464c_457f;
    private const byte Class64 = 2;
    private const byte LittleEndian = 1;
    private const ushort TypeExecutable = 2;
    private const ushort MachineX86_64 = 62;
    private const uint SegmentLoad = 1;
    private const uint SegmentNote = 4;
    private const ushort MostSegments = 128;
    private const uint MostNoteBytes = 64 * 1024;
    private const uint XenNotePhys32Entry = 18;
    private const ushort ProgramHeaderBytes = 56;

    public static bool Recognises(uint firstWord) => firstWord == Magic;

    public static LoadedKernel Load(KernelFile file, GuestMemory memory)
    {
        Header header = file.Read<Header>(0, "the ELF header");
        CheckHeader(file, header);
        var loaded = new List<ProgramHeader>();
        ulong? pvhEntry = null;
        for (ushort i = 0; i < header.ProgramHeaderCount; i++)
        {
            // No overflow: CheckHeader bounded the table by the file's length.
            ProgramHeader segment = file.Read<ProgramHeader>(header.ProgramHeaderOffset + ((ulong)i * ProgramHeaderBytes), $"program header {i}");
            switch (segment.Type)
            {
                case SegmentLoad when segment.MemorySize > 0:
                    LoadSegment(file, memory, segment, i);
                    loaded.Add(segment);
                    break;
                case SegmentNote:
                    pvhEntry ??= FindPvhEntry(file, segment);
                    break;
            }
        }

        ulong entry = pvhEntry ?? header.Entry;
        // An entry below the segment wraps to a huge offset. What is not in the file is zeros, and no code.
        if (!loaded.Exists(s => unchecked(entry - s.PhysicalAddress) < s.FileSize))
        {
            throw new KernelLoadException(file.Path, $"its entry point 0x{entry:x} lies in none of its segments' bytes", "Is it an executable kernel (vmlinux)?");
        }

        BootProtocol protocol = pvhEntry is null ? BootProtocol.Linux64 : BootProtocol.Pvh;
        return new LoadedKernel(protocol, new GuestAddress(entry), new GuestAddress(loaded.Max(s => s.PhysicalAddress + s.MemorySize)), default);
    }

    private static void CheckHeader(KernelFile file, in Header header)
    {
        const string Remedy = "Give an uncompressed x86-64 vmlinux or a bzImage.";
        if (header.Class != Class64 || header.Encoding != LittleEndian || header.Machine != MachineX86_64)
        {
            throw new KernelLoadException(file.Path, $"it is an ELF file for another machine (class {header.Class}, machine {header.Machine})", Remedy);
        }

        if (header.Type != TypeExecutable)
        {
            throw new KernelLoadException(file.Path, $"it is an ELF file of type {header.Type}, not an executable", Remedy);
        }

        if (header.ProgramHeaderCount is 0 or > MostSegments || header.ProgramHeaderSize != ProgramHeaderBytes)
        {
            throw new KernelLoadException(
                file.Path,
                $"its program header table is broken ({header.ProgramHeaderCount} entries of {header.ProgramHeaderSize} bytes)",
                Remedy);
        }

        ulong tableBytes = (ulong)header.ProgramHeaderCount * header.ProgramHeaderSize;
        if (header.ProgramHeaderOffset > file.Length || tableBytes > file.Length - header.ProgramHeaderOffset)
        {
            throw new KernelLoadException(file.Path, "the file ends inside its program headers", "It is truncated: copy or build it again.");
        }
    }

    private static void LoadSegment(KernelFile file, GuestMemory memory, in ProgramHeader segment, int index)
    {
        string what = $"segment {index}";
        if (segment.FileSize > segment.MemorySize)
        {
            throw new KernelLoadException(file.Path, $"{what} is larger in the file than in memory", "The file is broken: build it again.");
        }

        if (segment.PhysicalAddress < MemoryLayout.HighMemory)
        {
            throw new KernelLoadException(
                file.Path,
                $"{what} is to lie at 0x{segment.PhysicalAddress:x}, below 1 MiB, where the boot structures are",
                "Link the kernel at 1 MiB or above (CONFIG_PHYSICAL_START).");
        }

        var address = new GuestAddress(segment.PhysicalAddress);
        if (segment.PhysicalAddress >= GuestMemory.MmioGapStart || !memory.Contains(address, segment.MemorySize))
        {
            throw new KernelLoadException(
                file.Path,
                $"{what} needs {segment.MemorySize} bytes at {address}, outside the guest's {memory.SizeBytes >> 20} MiB of memory or above 3 GiB",
                "Give the guest more memory (mem_size_mib).");
        }

        // What is not in the file stays as it is: guest memory is born zeroed.
        file.ReadInto(memory, address, segment.Offset, segment.FileSize, what);
    }

    // A note: sizes of its name and contents, its type, then both, each padded to 4 bytes (8 in an 8-aligned segment).
    private static ulong? FindPvhEntry(KernelFile file, in ProgramHeader segment)
    {
        if (segment.FileSize > MostNoteBytes)
        {
            return null;
        }

        byte[] notes = new byte[segment.FileSize];
        file.ReadExactly(segment.Offset, notes, "its notes");
        ReadOnlySpan<byte> rest = notes;
        ulong alignment = segment.Alignment == 8 ? 8UL : 4UL;
        while (rest.Length >= 12)
        {
            uint nameSize = MemoryMarshal.Read<uint>(rest);
            uint contentSize = MemoryMarshal.Read<uint>(rest[4..]);
            uint type = MemoryMarshal.Read<uint>(rest[8..]);
            ulong contentStart = Padded(12UL + nameSize, alignment);
            ulong noteEnd = Padded(contentStart + contentSize, alignment);
            if (contentStart + contentSize > (ulong)rest.Length)
            {
                return null;
            }

            ReadOnlySpan<byte> name = rest.Slice(12, (int)nameSize);
            ReadOnlySpan<byte> content = rest.Slice((int)contentStart, (int)contentSize);
            if (type == XenNotePhys32Entry && name.SequenceEqual("Xen\0"u8) && content.Length is 4 or 8)
            {
                return content.Length == 4 ? MemoryMarshal.Read<uint>(content) : MemoryMarshal.Read<ulong>(content);
            }

            rest = rest[(int)Math.Min(noteEnd, (ulong)rest.Length)..];
        }

        return null;
    }

    private static ulong Padded(ulong size, ulong alignment) => (size + alignment - 1) & ~(alignment - 1);

    /// <summary>Elf64_Ehdr.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private readonly record struct Header(
        uint Magic,
        byte Class,
        byte Encoding,
        byte IdentVersion,
        byte OsAbi,
        ulong IdentPadding,
        ushort Type,
        ushort Machine,
        uint Version,
        ulong Entry,
        ulong ProgramHeaderOffset,
        ulong SectionHeaderOffset,
        uint Flags,
        ushort HeaderSize,
        ushort ProgramHeaderSize,
        ushort ProgramHeaderCount,
        ushort SectionHeaderSize,
        ushort SectionHeaderCount,
        ushort SectionNameIndex);

    /// <summary>Elf64_Phdr.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private readonly record struct ProgramHeader(
        uint Type,
        uint Flags,
        ulong Offset,
        ulong VirtualAddress,
        ulong PhysicalAddress,
        ulong FileSize,
        ulong MemorySize,
        ulong Alignment);
}
