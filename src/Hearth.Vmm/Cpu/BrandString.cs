using System.Buffers.Binary;
using Hearth.Kvm.Native;

namespace Hearth.Vmm.Cpu;

/// <summary>The processor name of leaves 0x80000002 to 4: the vendor's family, not the host's exact model.</summary>
internal static class BrandString
{
    private const int Bytes = 48;

    public static void Fill(ref kvm_cpuid_entry2 entry, bool intel)
    {
        Span<byte> name = stackalloc byte[Bytes];
        name.Clear();
        (intel ? "Intel(R) Xeon(R) Processor"u8 : "AMD EPYC"u8).CopyTo(name);
        Span<byte> part = name[(int)((entry.function - 0x8000_0002) * 16)..];
        entry.eax = BinaryPrimitives.ReadUInt32LittleEndian(part);
        entry.ebx = BinaryPrimitives.ReadUInt32LittleEndian(part[4..]);
        entry.ecx = BinaryPrimitives.ReadUInt32LittleEndian(part[8..]);
        entry.edx = BinaryPrimitives.ReadUInt32LittleEndian(part[12..]);
    }
}
