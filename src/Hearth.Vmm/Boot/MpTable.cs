using System.Buffers.Binary;
using Hearth.Platform.Memory;

namespace Hearth.Vmm.Boot;

/// <summary>
/// The MP table, by which a kernel without ACPI finds its processors and the IOAPIC.
/// Source: Intel MultiProcessor Specification 1.4, chapter 4.
/// </summary>
public static class MpTable
{
    private const byte SpecRevision = 4;
    private const byte ApicVersion = 0x14;
    private const byte CpuEnabled = 1;
    private const byte CpuBootstrap = 2;
    private const int FloatingPointerBytes = 16;
    private const int HeaderBytes = 44;
    private const int ProcessorBytes = 20;
    private const int IoApicPins = 24;

    private enum InterruptType : byte
    {
        Vectored = 0,
        NonMaskable = 1,
        ExternalInterrupt = 3,
    }

    /// <summary>Writes the table at the start of the EBDA, where kernels look for it.</summary>
    public static void Write(GuestMemory memory, int vcpuCount)
    {
        byte ioApicId = (byte)(vcpuCount + 1);
        var table = new Writer(FloatingPointerBytes);
        byte[] header = new byte[HeaderBytes];
        table.Append(header);
        ushort entries = 0;
        for (int cpu = 0; cpu < vcpuCount; cpu++)
        {
            byte[] processor = new byte[ProcessorBytes];
            processor[1] = (byte)cpu;
            processor[2] = ApicVersion;
            processor[3] = (byte)(CpuEnabled | (cpu == 0 ? CpuBootstrap : 0));
            // A family the kernel accepts, with FPU and APIC: the real features come from CPUID.
            BinaryPrimitives.WriteUInt32LittleEndian(processor.AsSpan(4), 0x600);
            BinaryPrimitives.WriteUInt32LittleEndian(processor.AsSpan(8), 0x201);
            table.Append(processor);
            entries++;
        }

        table.Append([1, 0, .. "ISA   "u8]);
        byte[] ioApic = [2, ioApicId, ApicVersion, 1, 0, 0, 0, 0];
        BinaryPrimitives.WriteUInt32LittleEndian(ioApic.AsSpan(4), (uint)MemoryLayout.IoApic);
        table.Append(ioApic);
        entries += 2;
        for (int pin = 0; pin < IoApicPins; pin++)
        {
            table.Append(Interrupt(3, InterruptType.Vectored, (byte)pin, ioApicId, (byte)pin));
            entries++;
        }

        table.Append(Interrupt(4, InterruptType.ExternalInterrupt, 0, 0, 0));
        table.Append(Interrupt(4, InterruptType.NonMaskable, 0, 0xff, 1));
        entries += 2;

        Span<byte> bytes = table.Bytes;
        Span<byte> config = bytes[FloatingPointerBytes..];
        "PCMP"u8.CopyTo(config);
        BinaryPrimitives.WriteUInt16LittleEndian(config[4..], (ushort)config.Length);
        config[6] = SpecRevision;
        "HEARTH  "u8.CopyTo(config[8..]);
        "MICROVM     "u8.CopyTo(config[16..]);
        BinaryPrimitives.WriteUInt16LittleEndian(config[34..], entries);
        BinaryPrimitives.WriteUInt32LittleEndian(config[36..], (uint)MemoryLayout.LocalApic);
        config[7] = Checksum(config);

        Span<byte> pointer = bytes[..FloatingPointerBytes];
        "_MP_"u8.CopyTo(pointer);
        BinaryPrimitives.WriteUInt32LittleEndian(pointer[4..], (uint)MemoryLayout.EbdaStart + FloatingPointerBytes);
        pointer[8] = 1;
        pointer[9] = SpecRevision;
        pointer[10] = Checksum(pointer);
        memory.Write(new GuestAddress(MemoryLayout.EbdaStart), bytes);
    }

    private static byte[] Interrupt(byte entryType, InterruptType type, byte busIrq, byte destination, byte pin) =>
        [entryType, (byte)type, 0, 0, 0, busIrq, destination, pin];

    private static byte Checksum(ReadOnlySpan<byte> bytes)
    {
        byte sum = 0;
        foreach (byte b in bytes)
        {
            sum = unchecked((byte)(sum + b));
        }

        return unchecked((byte)-sum);
    }

    private sealed class Writer(int reserved)
    {
        private readonly List<byte> _bytes = [.. new byte[reserved]];

        public Span<byte> Bytes => System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_bytes);

        public void Append(ReadOnlySpan<byte> bytes) => _bytes.AddRange(bytes);
    }
}
