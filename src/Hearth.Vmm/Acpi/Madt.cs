using System.Buffers.Binary;
using Hearth.Vmm.Boot;

namespace Hearth.Vmm.Acpi;

/// <summary>
/// The Multiple APIC Description Table: a local APIC for each vCPU, one IOAPIC from GSI 0, NMI on LINT1. No source
/// overrides: KVM's timer and ISA lines come in at the pins of their own numbers. Source: ACPI 6.5 §5.2.12.
/// </summary>
internal static class Madt
{
    private const byte Revision = 5;

    public static byte[] Build(int vcpuCount)
    {
        byte[] body = new byte[8 + (vcpuCount * 8) + 12 + 6];
        Span<byte> rest = body;
        BinaryPrimitives.WriteUInt32LittleEndian(rest, (uint)MemoryLayout.LocalApic);

        // The flags stay zero: on a hardware-reduced machine a guest does not look for 8259s.
        rest = rest[8..];
        for (int i = 0; i < vcpuCount; i++)
        {
            ReadOnlySpan<byte> localApic = [0, 8, (byte)i, (byte)i, 1, 0, 0, 0];
            localApic.CopyTo(rest);
            rest = rest[8..];
        }

        // An id that no local APIC has.
        ReadOnlySpan<byte> ioApic = [1, 12, (byte)(vcpuCount + 1), 0];
        ioApic.CopyTo(rest);
        BinaryPrimitives.WriteUInt32LittleEndian(rest[4..], (uint)MemoryLayout.IoApic);
        rest = rest[12..];

        // Processor 0xff is all of them; flags as the bus has them.
        ReadOnlySpan<byte> localNmi = [4, 6, 0xff, 0, 0, 1];
        localNmi.CopyTo(rest);
        return AcpiTable.Build("APIC"u8, Revision, body);
    }
}
