using System.Buffers.Binary;
using Hearth.Linux;
using Hearth.Platform.Memory;
using Hearth.Vmm.Boot;

namespace Hearth.Vmm.Acpi;

/// <summary>
/// Writes the ACPI tables below 1 MiB: RSDP → XSDT → FADT → DSDT, and the MADT.
/// Thread: any, before the first vCPU runs. Source: ACPI 6.5 §5.2.
/// </summary>
public static class AcpiTables
{
    private const int RsdpSize = 36;
    private const ulong TablesStart = MemoryLayout.AcpiStart + 0x40;
    private const ulong TableAlignment = 16;

    /// <summary>Writes the tables and returns the root pointer's address, which both boot protocols pass on.</summary>
    public static GuestAddress Write(GuestMemory memory, int vcpuCount, IEnumerable<VirtioMmioSlot> devices)
    {
        var next = new GuestAddress(TablesStart);
        GuestAddress dsdt = Place(memory, ref next, Dsdt.Build(devices));
        GuestAddress fadt = Place(memory, ref next, Fadt.Build(dsdt.Value));
        GuestAddress madt = Place(memory, ref next, Madt.Build(vcpuCount));
        GuestAddress xsdt = Place(memory, ref next, BuildXsdt(fadt, madt));
        var rsdp = new GuestAddress(MemoryLayout.AcpiStart);
        memory.Write(rsdp, BuildRsdp(xsdt));
        return rsdp;
    }

    private static GuestAddress Place(GuestMemory memory, ref GuestAddress next, ReadOnlySpan<byte> table)
    {
        GuestAddress address = next;
        GuestAddress end = address + (ulong)table.Length;
        if (end.Value > MemoryLayout.ResetVector)
        {
            throw new HearthException($"The ACPI tables need more than {MemoryLayout.ResetVector - TablesStart} bytes. Use fewer devices.");
        }

        memory.Write(address, table);
        next = new GuestAddress((end.Value + TableAlignment - 1) & ~(TableAlignment - 1));
        return address;
    }

    private static byte[] BuildXsdt(GuestAddress fadt, GuestAddress madt)
    {
        Span<byte> entries = stackalloc byte[16];
        BinaryPrimitives.WriteUInt64LittleEndian(entries, fadt.Value);
        BinaryPrimitives.WriteUInt64LittleEndian(entries[8..], madt.Value);
        return AcpiTable.Build("XSDT"u8, 1, entries);
    }

    // §5.2.5.3: one checksum over the first 20 bytes, as ACPI 1.0 had it, one over all.
    private static byte[] BuildRsdp(GuestAddress xsdt)
    {
        byte[] rsdp = new byte[RsdpSize];
        Span<byte> bytes = rsdp;
        "RSD PTR "u8.CopyTo(bytes);
        AcpiTable.OemId.CopyTo(bytes[9..]);
        bytes[15] = 2;
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[20..], RsdpSize);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[24..], xsdt.Value);
        bytes[8] = AcpiTable.Checksum(bytes[..20]);
        bytes[32] = AcpiTable.Checksum(bytes);
        return rsdp;
    }
}
