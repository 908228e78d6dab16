using System.Buffers.Binary;
using System.Text;
using Hearth.Kvm.Native;

namespace Hearth.Vmm.Cpu;

/// <summary>The processor name of leaves 0x80000002 to 4: the vendor's family and, on Intel, the frequency, not the host's exact model.</summary>
internal static class BrandString
{
    private const uint FirstLeaf = 0x8000_0002;
    private const uint LastLeaf = 0x8000_0004;
    private const int Bytes = 48;

    public static void Fill(ref kvm_cpuid_entry2 entry, bool intel, string? frequency)
    {
        Span<byte> name = stackalloc byte[Bytes];
        name.Clear();
        string text = !intel ? "AMD EPYC" : frequency is null ? "Intel(R) Xeon(R) Processor" : $"Intel(R) Xeon(R) Processor @ {frequency}";
        Encoding.ASCII.GetBytes(text, name);
        Span<byte> part = name[(int)((entry.function - FirstLeaf) * 16)..];
        entry.eax = BinaryPrimitives.ReadUInt32LittleEndian(part);
        entry.ebx = BinaryPrimitives.ReadUInt32LittleEndian(part[4..]);
        entry.ecx = BinaryPrimitives.ReadUInt32LittleEndian(part[8..]);
        entry.edx = BinaryPrimitives.ReadUInt32LittleEndian(part[12..]);
    }

    /// <summary>The host's name as it is; empty where KVM does not tell it.</summary>
    public static string Read(ReadOnlySpan<kvm_cpuid_entry2> entries)
    {
        Span<byte> name = stackalloc byte[Bytes];
        name.Clear();
        foreach (kvm_cpuid_entry2 entry in entries)
        {
            if (entry.function is >= FirstLeaf and <= LastLeaf)
            {
                Span<byte> part = name[(int)((entry.function - FirstLeaf) * 16)..];
                BinaryPrimitives.WriteUInt32LittleEndian(part, entry.eax);
                BinaryPrimitives.WriteUInt32LittleEndian(part[4..], entry.ebx);
                BinaryPrimitives.WriteUInt32LittleEndian(part[8..], entry.ecx);
                BinaryPrimitives.WriteUInt32LittleEndian(part[12..], entry.edx);
            }
        }

        return Encoding.ASCII.GetString(name).TrimEnd('\0', ' ');
    }

    /// <summary>The name's last word, where that is a number and a unit: <c>3.00GHz</c>.</summary>
    public static string? Frequency(ReadOnlySpan<kvm_cpuid_entry2> entries)
    {
        const int UnitLength = 3;
        const int MaxLength = 12;
        string name = Read(entries);
        ReadOnlySpan<char> last = name.AsSpan(name.LastIndexOf(' ') + 1);
        bool isFrequency = last.Length is > UnitLength and <= MaxLength
            && (last.EndsWith("GHz") || last.EndsWith("MHz"))
            && !last[..^UnitLength].ContainsAnyExcept("0123456789.");
        return isFrequency ? last.ToString() : null;
    }
}
