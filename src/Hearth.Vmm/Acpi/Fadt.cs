using System.Buffers.Binary;

namespace Hearth.Vmm.Acpi;

/// <summary>
/// The Fixed ACPI Description Table of a hardware-reduced machine: no PM timer, no ACPI interrupt, no PICs or PIT for
/// the guest to probe and calibrate; power-off by the sleep control register, reset by the i8042.
/// Source: ACPI 6.5 §5.2.9.
/// </summary>
internal static class Fadt
{
    private const int Size = 276;
    private const byte Revision = 6;
    private const byte MinorRevision = 5;

    // §5.2.9.3. "Not supported" bits say what a guest need not look for.
    private const ushort LegacyDevices = 1 << 0;
    private const ushort Has8042 = 1 << 1;
    private const ushort VgaNotPresent = 1 << 2;
    private const ushort MsiNotSupported = 1 << 3;
    private const ushort CmosRtcNotPresent = 1 << 5;

    // Table 5.10. The button bits say that there is no fixed-hardware button.
    private const uint Wbinvd = 1 << 0;
    private const uint NoPowerButton = 1 << 4;
    private const uint NoSleepButton = 1 << 5;
    private const uint ResetRegisterSupported = 1 << 10;
    private const uint HardwareReduced = 1 << 20;

    private const ushort I8042CommandPort = 0x64;
    private const byte I8042PulseReset = 0xfe;

    public static byte[] Build(ulong dsdt)
    {
        Span<byte> table = stackalloc byte[Size];
        table.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(table[40..], (uint)dsdt);
        BinaryPrimitives.WriteUInt16LittleEndian(table[109..], LegacyDevices | Has8042 | VgaNotPresent | MsiNotSupported | CmosRtcNotPresent);
        BinaryPrimitives.WriteUInt32LittleEndian(table[112..], Wbinvd | NoPowerButton | NoSleepButton | ResetRegisterSupported | HardwareReduced);
        WritePort(table[116..], I8042CommandPort);
        table[128] = I8042PulseReset;
        table[131] = MinorRevision;
        BinaryPrimitives.WriteUInt64LittleEndian(table[140..], dsdt);
        WritePort(table[244..], SleepRegisters.ControlPort);
        WritePort(table[256..], SleepRegisters.StatusPort);
        "HEARTHVM"u8.CopyTo(table[268..]);
        return AcpiTable.Build("FACP"u8, Revision, table[AcpiTable.HeaderSize..]);
    }

    // A generic address structure of one byte in port space. §5.2.3.2.
    private static void WritePort(Span<byte> destination, ushort port)
    {
        const byte SystemIo = 1, Bits = 8, ByteAccess = 1;
        destination[0] = SystemIo;
        destination[1] = Bits;
        destination[2] = 0;
        destination[3] = ByteAccess;
        BinaryPrimitives.WriteUInt64LittleEndian(destination[4..], port);
    }
}
