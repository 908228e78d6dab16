namespace Hearth.Vmm.Boot;

/// <summary>Where a virtio-mmio device's registers are, and its interrupt: what ACPI and the command line tell the guest.</summary>
/// <param name="Address">Guest-physical address of the registers.</param>
/// <param name="SizeBytes">How much address space they take.</param>
/// <param name="Gsi">The global system interrupt (IOAPIC pin).</param>
public readonly record struct VirtioMmioSlot(ulong Address, ulong SizeBytes, uint Gsi);
