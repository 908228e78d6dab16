using System.Buffers.Binary;
using Hearth.Linux;
using Hearth.Platform.Memory;

namespace Hearth.Vmm.Boot;

/// <summary>All that a kernel is told at its entry.</summary>
/// <param name="Kernel">The kernel itself.</param>
/// <param name="Initrd">The initrd, if there is one.</param>
/// <param name="CommandLine">ASCII with a terminating zero.</param>
/// <param name="Rsdp">Where the ACPI tables start.</param>
public sealed record BootInformation(LoadedKernel Kernel, LoadedInitrd? Initrd, byte[] CommandLine, GuestAddress Rsdp);

/// <summary>Writes the structure that a kernel's boot protocol wants, and the command line.</summary>
public static class BootParameters
{
    private const int ZeroPageBytes = 4096;
    private const byte UndefinedLoader = 0xff;
    private const uint PvhMagic = 0x336e_c578;

    public static void Write(GuestMemory memory, BootInformation boot)
    {
        memory.Write(new GuestAddress(MemoryLayout.CommandLine), boot.CommandLine);
        if (boot.Kernel.Protocol == BootProtocol.Pvh)
        {
            WritePvh(memory, boot);
        }
        else
        {
            WriteZeroPage(memory, boot);
        }
    }

    // struct boot_params: Linux Documentation/arch/x86/zero-page.rst; offsets below are from there.
    private static void WriteZeroPage(GuestMemory memory, BootInformation boot)
    {
        byte[] page = new byte[ZeroPageBytes];
        Span<byte> zero = page;
        if (!boot.Kernel.SetupHeader.IsEmpty)
        {
            CheckCommandLine(boot);
            boot.Kernel.SetupHeader.Span.CopyTo(zero[BzImageKernel.SetupHeaderOffset..]);
        }
        else
        {
            // An ELF kernel has no header to copy; these are the fields it looks at.
            BinaryPrimitives.WriteUInt16LittleEndian(zero[0x1fe..], 0xaa55);
            BinaryPrimitives.WriteUInt32LittleEndian(zero[0x202..], 0x5372_6448);
            BinaryPrimitives.WriteUInt16LittleEndian(zero[0x206..], 0x020f);
            BinaryPrimitives.WriteUInt32LittleEndian(zero[0x230..], 0x0100_0000);
        }

        zero[0x210] = UndefinedLoader;
        BinaryPrimitives.WriteUInt32LittleEndian(zero[0x228..], (uint)MemoryLayout.CommandLine);
        BinaryPrimitives.WriteUInt32LittleEndian(zero[0x238..], (uint)boot.CommandLine.Length - 1);
        BinaryPrimitives.WriteUInt64LittleEndian(zero[0x70..], boot.Rsdp.Value);
        if (boot.Initrd is { } initrd)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(zero[0x218..], (uint)initrd.Address.Value);
            BinaryPrimitives.WriteUInt32LittleEndian(zero[0x21c..], checked((uint)initrd.SizeBytes));
        }

        List<MemoryMapEntry> map = MemoryMapEntry.Build(memory);
        zero[0x1e8] = (byte)map.Count;
        for (int i = 0; i < map.Count; i++)
        {
            Span<byte> entry = zero[(0x2d0 + (i * 20))..];
            BinaryPrimitives.WriteUInt64LittleEndian(entry, map[i].Address);
            BinaryPrimitives.WriteUInt64LittleEndian(entry[8..], map[i].SizeBytes);
            BinaryPrimitives.WriteUInt32LittleEndian(entry[16..], (uint)map[i].Type);
        }

        memory.Write(new GuestAddress(MemoryLayout.ZeroPage), zero);
    }

    private static void CheckCommandLine(BootInformation boot)
    {
        uint most = BinaryPrimitives.ReadUInt32LittleEndian(boot.Kernel.SetupHeader.Span[(0x238 - BzImageKernel.SetupHeaderOffset)..]);
        if (boot.CommandLine.Length - 1 > most)
        {
            throw new HearthException($"The kernel takes a command line of {most} bytes, and it has {boot.CommandLine.Length - 1}. Shorten boot_args.");
        }
    }

    // struct hvm_start_info, version 1: Xen public/arch-x86/hvm/start_info.h.
    private static void WritePvh(GuestMemory memory, BootInformation boot)
    {
        List<MemoryMapEntry> map = MemoryMapEntry.Build(memory);
        byte[] entries = new byte[map.Count * 24];
        for (int i = 0; i < map.Count; i++)
        {
            Span<byte> entry = entries.AsSpan(i * 24);
            BinaryPrimitives.WriteUInt64LittleEndian(entry, map[i].Address);
            BinaryPrimitives.WriteUInt64LittleEndian(entry[8..], map[i].SizeBytes);
            BinaryPrimitives.WriteUInt32LittleEndian(entry[16..], (uint)map[i].Type);
        }

        memory.Write(new GuestAddress(MemoryLayout.PvhMemoryMap), entries);

        Span<byte> info = stackalloc byte[56];
        info.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(info, PvhMagic);
        BinaryPrimitives.WriteUInt32LittleEndian(info[4..], 1);
        if (boot.Initrd is { } initrd)
        {
            Span<byte> module = stackalloc byte[32];
            module.Clear();
            BinaryPrimitives.WriteUInt64LittleEndian(module, initrd.Address.Value);
            BinaryPrimitives.WriteUInt64LittleEndian(module[8..], initrd.SizeBytes);
            memory.Write(new GuestAddress(MemoryLayout.PvhModules), module);
            BinaryPrimitives.WriteUInt32LittleEndian(info[12..], 1);
            BinaryPrimitives.WriteUInt64LittleEndian(info[16..], MemoryLayout.PvhModules);
        }

        BinaryPrimitives.WriteUInt64LittleEndian(info[24..], MemoryLayout.CommandLine);
        BinaryPrimitives.WriteUInt64LittleEndian(info[32..], boot.Rsdp.Value);
        BinaryPrimitives.WriteUInt64LittleEndian(info[40..], MemoryLayout.PvhMemoryMap);
        BinaryPrimitives.WriteUInt32LittleEndian(info[48..], (uint)map.Count);
        memory.Write(new GuestAddress(MemoryLayout.PvhStartInfo), info);
    }
}
