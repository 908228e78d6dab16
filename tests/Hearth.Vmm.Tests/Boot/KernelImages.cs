using System.Buffers.Binary;

namespace Hearth.Vmm.Tests.Boot;

/// <summary>Small kernels that are whole as files, and files that go away with the test.</summary>
internal static class KernelImages
{
    public const ulong ElfBase = 0x10_0000;
    public const ulong BzImageBase = 0x20_0000;
    public const uint BzImageInitSize = 0x8_0000;
    public const int BzImageSetupSectors = 2;
    public const int BzImagePayload = 0x1000;

    /// <summary>One segment of 0x200 bytes of <paramref name="code"/> and as many zeros; a PVH note where there is an entry for it.</summary>
    public static byte[] Elf(ulong physical = ElfBase, ulong? pvhEntry = null, byte[]? code = null, int noteBytes = 4)
    {
        const int FileOffset = 0x200, FileSize = 0x200;
        byte[] file = new byte[FileOffset + FileSize];
        Span<byte> e = file;
        "\x7f"u8.CopyTo(e);
        "ELF"u8.CopyTo(e[1..]);
        e[4] = 2;
        e[5] = 1;
        e[6] = 1;
        BinaryPrimitives.WriteUInt16LittleEndian(e[16..], 2);
        BinaryPrimitives.WriteUInt16LittleEndian(e[18..], 62);
        BinaryPrimitives.WriteUInt32LittleEndian(e[20..], 1);
        BinaryPrimitives.WriteUInt64LittleEndian(e[24..], physical);
        BinaryPrimitives.WriteUInt64LittleEndian(e[32..], 64);
        BinaryPrimitives.WriteUInt16LittleEndian(e[52..], 64);
        BinaryPrimitives.WriteUInt16LittleEndian(e[54..], 56);
        BinaryPrimitives.WriteUInt16LittleEndian(e[56..], (ushort)(pvhEntry is null ? 1 : 2));
        ProgramHeader(e[64..], 1, FileOffset, physical, FileSize, FileSize * 2, 0x1000);
        (code ?? [0xf4]).CopyTo(e[FileOffset..]);
        if (pvhEntry is { } entry)
        {
            const int NoteOffset = 0x100;
            ProgramHeader(e[120..], 4, NoteOffset, 0, (ulong)(16 + noteBytes), (ulong)(16 + noteBytes), 4);
            BinaryPrimitives.WriteUInt32LittleEndian(e[NoteOffset..], 4);
            BinaryPrimitives.WriteUInt32LittleEndian(e[(NoteOffset + 4)..], (uint)noteBytes);
            BinaryPrimitives.WriteUInt32LittleEndian(e[(NoteOffset + 8)..], 18);
            "Xen\0"u8.CopyTo(e[(NoteOffset + 12)..]);
            BinaryPrimitives.WriteUInt64LittleEndian(e[(NoteOffset + 16)..], entry);
        }

        return file;
    }

    /// <summary>A bzImage whose kernel part is 0x1000 bytes of 0xf4, followed by a signature that is not to be loaded.</summary>
    public static byte[] BzImage(ulong preferred = BzImageBase, uint initrdMax = 0x7fff_ffff)
    {
        const int Setup = (BzImageSetupSectors + 1) * 512;
        byte[] file = new byte[Setup + BzImagePayload + 64];
        Span<byte> b = file;
        b[0x1f1] = BzImageSetupSectors;
        BinaryPrimitives.WriteUInt32LittleEndian(b[0x1f4..], BzImagePayload / 16);
        BinaryPrimitives.WriteUInt16LittleEndian(b[0x1fe..], 0xaa55);
        b[0x200] = 0xeb;
        b[0x201] = 0x268 - 0x202;
        "HdrS"u8.CopyTo(b[0x202..]);
        BinaryPrimitives.WriteUInt16LittleEndian(b[0x206..], 0x20f);
        b[0x211] = 1;
        BinaryPrimitives.WriteUInt32LittleEndian(b[0x22c..], initrdMax);
        BinaryPrimitives.WriteUInt32LittleEndian(b[0x230..], 0x20_0000);
        b[0x234] = 1;
        BinaryPrimitives.WriteUInt16LittleEndian(b[0x236..], 1);
        BinaryPrimitives.WriteUInt32LittleEndian(b[0x238..], 2047);
        BinaryPrimitives.WriteUInt64LittleEndian(b[0x258..], preferred);
        BinaryPrimitives.WriteUInt32LittleEndian(b[0x260..], BzImageInitSize);
        b.Slice(Setup, BzImagePayload).Fill(0xf4);
        b[(Setup + BzImagePayload)..].Fill(0x5a);
        return file;
    }

    private static void ProgramHeader(Span<byte> header, uint type, ulong offset, ulong physical, ulong fileSize, ulong memorySize, ulong alignment)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(header, type);
        BinaryPrimitives.WriteUInt64LittleEndian(header[8..], offset);
        BinaryPrimitives.WriteUInt64LittleEndian(header[24..], physical);
        BinaryPrimitives.WriteUInt64LittleEndian(header[32..], fileSize);
        BinaryPrimitives.WriteUInt64LittleEndian(header[40..], memorySize);
        BinaryPrimitives.WriteUInt64LittleEndian(header[48..], alignment);
    }
}
