using System.Numerics;
using Hearth.Kvm.Native;

namespace Hearth.Vmm.Cpu;

/// <summary>Where one vCPU stands in the guest's one package: APIC ids are vCPU numbers, threads of a core are neighbours.</summary>
internal readonly record struct CpuTopology(int Vcpu, int Count, bool Smt)
{
    private const uint LevelThread = 1;
    private const uint LevelCore = 2;

    public int ThreadsPerCore => Smt && Count > 1 ? 2 : 1;

    public int Cores => (Count + ThreadsPerCore - 1) / ThreadsPerCore;

    public int Core => Vcpu / ThreadsPerCore;

    /// <summary>How many low bits of an APIC id number threads within a core.</summary>
    public int CoreShift => ThreadsPerCore - 1;

    /// <summary>How many low bits of an APIC id number vCPUs within the package.</summary>
    public int PackageShift => BitOperations.Log2(BitOperations.RoundUpToPowerOf2((uint)Count));

    /// <summary>Adds an extended topology leaf (0xB or 0x1F): threads, cores, end.</summary>
    public void AddLeaves(List<kvm_cpuid_entry2> entries, uint leaf)
    {
        entries.Add(Level(leaf, 0, LevelThread, CoreShift, ThreadsPerCore));
        entries.Add(Level(leaf, 1, LevelCore, PackageShift, Count));
        entries.Add(Level(leaf, 2, 0, 0, 0));
    }

    private kvm_cpuid_entry2 Level(uint leaf, uint index, uint type, int shift, int count) => new()
    {
        function = leaf,
        index = index,
        flags = KvmConstants.KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
        eax = (uint)shift,
        ebx = (uint)count,
        ecx = index | (type << 8),
        edx = (uint)Vcpu,
    };
}
