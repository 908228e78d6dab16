using Hearth.Platform.Memory;

namespace Hearth.Vmm.Boot;

/// <summary>What an e820 entry says about its range. Source: ACPI 6.4 §15.</summary>
public enum MemoryMapType : uint
{
    Usable = 1,
    Reserved = 2,
}

/// <summary>One range of the guest's memory map, for the zero page and the PVH start info alike.</summary>
public readonly record struct MemoryMapEntry(ulong Address, ulong SizeBytes, MemoryMapType Type)
{
    /// <summary>
    /// The guest's map: conventional memory up to the EBDA, the EBDA and the BIOS area reserved (the MP table and the
    /// ACPI tables stand there), RAM from 1 MiB on, and what lies above the MMIO gap.
    /// </summary>
    public static List<MemoryMapEntry> Build(GuestMemory memory)
    {
        GuestMemoryRegion low = memory.Regions[0];
        var map = new List<MemoryMapEntry>
        {
            new(0, MemoryLayout.EbdaStart, MemoryMapType.Usable),
            new(MemoryLayout.EbdaStart, MemoryLayout.HighMemory - MemoryLayout.EbdaStart, MemoryMapType.Reserved),
            new(MemoryLayout.HighMemory, low.LengthBytes - MemoryLayout.HighMemory, MemoryMapType.Usable),
        };
        for (int i = 1; i < memory.Regions.Count; i++)
        {
            map.Add(new MemoryMapEntry(memory.Regions[i].Base.Value, memory.Regions[i].LengthBytes, MemoryMapType.Usable));
        }

        return map;
    }
}
