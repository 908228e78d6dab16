using System.Buffers;
using System.Buffers.Binary;

namespace Hearth.Vmm.Acpi.Aml;

/// <summary>The resources a device uses, as its <c>_CRS</c> lists them. Source: ACPI 6.5 §6.4.</summary>
public sealed class ResourceTemplate
{
    private readonly ArrayBufferWriter<byte> _bytes = new();

    /// <summary>Registers in memory below 4 GiB, readable and writable. §6.4.3.4.</summary>
    public ResourceTemplate Memory32Fixed(uint address, uint length)
    {
        Span<byte> descriptor = _bytes.GetSpan(12);
        descriptor[0] = 0x86;
        BinaryPrimitives.WriteUInt16LittleEndian(descriptor[1..], 9);
        descriptor[3] = 1;
        BinaryPrimitives.WriteUInt32LittleEndian(descriptor[4..], address);
        BinaryPrimitives.WriteUInt32LittleEndian(descriptor[8..], length);
        _bytes.Advance(12);
        return this;
    }

    /// <summary>An interrupt of its own, edge-triggered and active high. §6.4.3.6.</summary>
    public ResourceTemplate EdgeInterrupt(uint gsi)
    {
        const byte Consumer = 1, Edge = 1 << 1;
        Span<byte> descriptor = _bytes.GetSpan(9);
        descriptor[0] = 0x89;
        BinaryPrimitives.WriteUInt16LittleEndian(descriptor[1..], 6);
        descriptor[3] = Consumer | Edge;
        descriptor[4] = 1;
        BinaryPrimitives.WriteUInt32LittleEndian(descriptor[5..], gsi);
        _bytes.Advance(9);
        return this;
    }

    /// <summary>Ports at a fixed place, all 16 address bits decoded. §6.4.2.5.</summary>
    public ResourceTemplate Io(ushort port, byte length)
    {
        Span<byte> descriptor = _bytes.GetSpan(8);
        descriptor[0] = 0x47;
        descriptor[1] = 1;
        BinaryPrimitives.WriteUInt16LittleEndian(descriptor[2..], port);
        BinaryPrimitives.WriteUInt16LittleEndian(descriptor[4..], port);
        descriptor[6] = 1;
        descriptor[7] = length;
        _bytes.Advance(8);
        return this;
    }

    /// <summary>The descriptors with their end tag; its checksum of zero means that there is none. §6.4.2.9.</summary>
    internal ReadOnlySpan<byte> Finish()
    {
        _bytes.Write<byte>([0x79, 0]);
        return _bytes.WrittenSpan;
    }
}
