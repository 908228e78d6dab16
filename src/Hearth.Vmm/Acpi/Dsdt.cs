using System.Globalization;
using Hearth.Vmm.Acpi.Aml;
using Hearth.Vmm.Boot;

namespace Hearth.Vmm.Acpi;

/// <summary>
/// The Differentiated System Description Table: COM1, the keyboard controller, each virtio-mmio device, and the sleep
/// type of power-off. Source: ACPI 6.5 §5.2.11.1; LNRO0005 is virtio-mmio's id in Linux drivers/virtio/virtio_mmio.c.
/// </summary>
internal static class Dsdt
{
    // From revision 2 on, integers have 64 bits.
    private const byte Revision = 2;

    private const ushort KeyboardDataPort = 0x60;
    private const ushort KeyboardCommandPort = 0x64;

    public static byte[] Build(IEnumerable<VirtioMmioSlot> devices)
    {
        var aml = new AmlWriter();
        using (aml.Scope("\\_SB"))
        {
            using (aml.Device("COM1"))
            {
                aml.NameEisaId("_HID", "PNP0501");
                aml.Name("_UID", 0);
                aml.Name("_DDN", "COM1");
                aml.Name("_CRS", new ResourceTemplate().Io(MemoryLayout.SerialPort, 8).EdgeInterrupt(MemoryLayout.SerialGsi));
            }

            using (aml.Device("PS2K"))
            {
                aml.NameEisaId("_HID", "PNP0303");
                aml.Name("_UID", 0);
                aml.Name(
                    "_CRS",
                    new ResourceTemplate().Io(KeyboardDataPort, 1).Io(KeyboardCommandPort, 1).EdgeInterrupt(MemoryLayout.KeyboardGsi));
            }

            int index = 0;
            foreach (VirtioMmioSlot slot in devices)
            {
                AppendVirtioMmio(aml, index++, slot);
            }
        }

        aml.NamePackage("\\_S5", [SleepRegisters.PowerOffSleepType, 0, 0, 0]);
        return AcpiTable.Build("DSDT"u8, Revision, aml.Written);
    }

    private static void AppendVirtioMmio(AmlWriter aml, int index, VirtioMmioSlot slot)
    {
        using (aml.Device(string.Create(CultureInfo.InvariantCulture, $"V{index:X3}")))
        {
            aml.Name("_HID", "LNRO0005");
            aml.Name("_UID", (ulong)index);
            aml.Name("_CCA", 1);
            aml.Name("_CRS", new ResourceTemplate().Memory32Fixed(checked((uint)slot.Address), checked((uint)slot.SizeBytes)).EdgeInterrupt(slot.Gsi));
        }
    }
}
