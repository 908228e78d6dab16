using Hearth.Kvm.Native;

namespace Hearth.Vmm.Cpu;

/// <summary>
/// Turns the CPUID leaves that KVM can give into those a guest gets: one package whose topology is the machine's own,
/// the hypervisor bit, no leaf that tells about the host alone (power, performance counters, cache allocation, SGX,
/// tracing) and no nested virtualization.
/// Source: Intel SDM vol. 2A CPUID; AMD APM vol. 3 appendix E; KVM cpuid.rst.
/// </summary>
public static class CpuidFilter
{
    private const uint Hypervisor = 1u << 31;
    private const uint TscDeadline = 1u << 24;

    // Leaf 1 ECX: DTES64, MONITOR, DS-CPL, VMX, SMX, EIST, TM2, CNXT-ID, SDBG, xTPR, PDCM, DCA.
    private const uint HostOnlyFeatures1C = (1u << 2) | (1u << 3) | (1u << 4) | (1u << 5) | (1u << 6) | (1u << 7) | (1u << 8) | (1u << 10) | (1u << 11) | (1u << 14) | (1u << 15) | (1u << 18);

    // Leaf 1 EDX: DS, ACPI, TM, PBE.
    private const uint HostOnlyFeatures1D = (1u << 21) | (1u << 22) | (1u << 29) | (1u << 31);
    private const uint HyperThreading = 1u << 28;

    // Leaf 7 EBX: SGX, RDT monitoring, RDT allocation, processor trace.
    private const uint HostOnlyFeatures7B = (1u << 2) | (1u << 12) | (1u << 15) | (1u << 25);

    // Leaf 7 ECX: WAITPKG (a guest must not put the host's CPU to sleep), key locker, SGX launch control.
    private const uint HostOnlyFeatures7C = (1u << 5) | (1u << 23) | (1u << 30);

    // Leaf 7 EDX: hybrid, PCONFIG, architectural LBR.
    private const uint HostOnlyFeatures7D = (1u << 15) | (1u << 18) | (1u << 19);
    private const uint ArchCapabilities = 1u << 29;

    // Leaf 0x80000001 ECX: SVM, IBS, SKINIT, watchdog, LWP, the four kinds of performance counters, MONITORX.
    private const uint HostOnlyExtendedC =
        (1u << 2) | (1u << 10) | (1u << 12) | (1u << 13) | (1u << 15) | (1u << 23) | (1u << 24) | (1u << 27) | (1u << 28) | (1u << 29);

    private const uint CmpLegacy = 1u << 1;
    private const uint TopologyExtensions = 1u << 22;
    private const uint InvariantTsc = 1u << 8;
    private const uint AmdTopologyLeaf = 0x8000_001e;
    private const uint Arat = 1u << 2;

    /// <summary>The leaves for one vCPU.</summary>
    /// <param name="supported">KVM_GET_SUPPORTED_CPUID's answer.</param>
    /// <param name="vcpu">The vCPU's number, which is its APIC id.</param>
    /// <param name="vcpuCount">1 to 32.</param>
    /// <param name="smt">Whether two vCPUs each are threads of one core.</param>
    /// <param name="tscDeadline">Whether KVM's local APIC has a deadline timer, which spares the guest a calibration.</param>
    public static kvm_cpuid_entry2[] Apply(ReadOnlySpan<kvm_cpuid_entry2> supported, int vcpu, int vcpuCount, bool smt, bool tscDeadline)
    {
        var topology = new CpuTopology(vcpu, vcpuCount, smt);
        const uint Genu = 0x756e_6547;
        bool intel = Find(supported, 0).ebx == Genu;
        var entries = new List<kvm_cpuid_entry2>(supported.Length + 2);
        uint maxBasic = 0;
        uint maxExtended = Find(supported, 0x8000_0000).eax;
        string? frequency = BrandString.Frequency(supported);
        foreach (kvm_cpuid_entry2 given in supported)
        {
            if (IsHostOnly(given.function))
            {
                continue;
            }

            kvm_cpuid_entry2 entry = given;
            switch (entry.function)
            {
                case 0x0:
                    // Leaves past the extended topology describe the host alone.
                    entry.eax = Math.Min(entry.eax, 0x1f);
                    maxBasic = entry.eax;
                    break;
                case 0x1:
                    FilterFeatures(ref entry, topology, tscDeadline);
                    break;
                case 0x4:
                    ShareCache(ref entry, topology, withCores: true);
                    break;
                case 0x6:
                    entry.eax &= Arat;
                    entry.ebx = 0;
                    entry.ecx = 0;
                    entry.edx = 0;
                    break;
                case 0x7 when entry.index == 0:
                    entry.ebx &= ~HostOnlyFeatures7B;
                    entry.ecx &= ~HostOnlyFeatures7C;

                    // KVM emulates ARCH_CAPABILITIES on every host, and no guest expects it on AMD.
                    entry.edx &= ~(HostOnlyFeatures7D | (intel ? 0 : ArchCapabilities));
                    break;
                case 0x8000_0001:
                    entry.ecx &= ~HostOnlyExtendedC;
                    if (!intel)
                    {
                        SetAmdTopologyFlags(ref entry, topology, maxExtended);
                    }

                    break;
                case 0x8000_0007:
                    // Of power management, only that the TSC never changes its rate nor stops.
                    entry.eax = 0;
                    entry.ebx = 0;
                    entry.ecx = 0;
                    entry.edx &= InvariantTsc;
                    break;
                case 0x8000_0008 when !intel:
                    entry.ecx = ((uint)topology.PackageShift << 12) | (uint)(vcpuCount - 1);
                    break;
                case 0x8000_001d:
                    ShareCache(ref entry, topology, withCores: false);
                    break;
                case >= 0x8000_0002 and <= 0x8000_0004:
                    BrandString.Fill(ref entry, intel, frequency);
                    break;
            }

            entries.Add(entry);
        }

        if (maxBasic >= 0xb)
        {
            topology.AddLeaves(entries, 0xb);
        }

        if (maxBasic >= 0x1f)
        {
            topology.AddLeaves(entries, 0x1f);
        }

        if (!intel && maxExtended >= AmdTopologyLeaf)
        {
            entries.Add(new kvm_cpuid_entry2
            {
                function = AmdTopologyLeaf,
                eax = (uint)vcpu,
                ebx = ((uint)(topology.ThreadsPerCore - 1) << 8) | (uint)topology.Core,
            });
        }

        return [.. entries];
    }

    // 5 MONITOR, A performance counters, B and 1F topology (made anew), F and 10 cache allocation, 12 SGX, 14 tracing,
    // 15 and 16 clock rates (KVM's local APIC does not run at the host's crystal; kvmclock tells the TSC's),
    // 17 SoC vendor, 18 TLB, 19 key locker, 1B PCONFIG, 1C branch records, 8000000A SVM, 8000001B IBS,
    // 8000001C LWP, 8000001E and 80000026 topology, 8000001F encryption, 80000020 allocation, 80000022 counters.
    private static bool IsHostOnly(uint leaf) => leaf is
        0x5 or 0xa or 0xb or 0xf or 0x10 or 0x12 or 0x14 or 0x15 or 0x16 or 0x17 or 0x18 or 0x19 or 0x1b or 0x1c or 0x1f
        or (>= 0x20 and < 0x4000_0000)
        or 0x8000_000a or 0x8000_001b or 0x8000_001c or 0x8000_001f or 0x8000_0020 or 0x8000_0022
        or AmdTopologyLeaf or 0x8000_0023 or 0x8000_0026;

    // Without CMP_LEGACY, a guest that knows nothing better takes all vCPUs for threads of one core.
    private static void SetAmdTopologyFlags(ref kvm_cpuid_entry2 entry, in CpuTopology topology, uint maxExtended)
    {
        uint flags = topology.Count > 1 ? CmpLegacy : 0;
        flags |= maxExtended >= AmdTopologyLeaf ? TopologyExtensions : 0;
        entry.ecx = (entry.ecx & ~(CmpLegacy | TopologyExtensions)) | flags;
    }

    // All zeros where KVM gives no such leaf.
    private static kvm_cpuid_entry2 Find(ReadOnlySpan<kvm_cpuid_entry2> supported, uint function)
    {
        foreach (kvm_cpuid_entry2 entry in supported)
        {
            if (entry.function == function)
            {
                return entry;
            }
        }

        return default;
    }

    private static void FilterFeatures(ref kvm_cpuid_entry2 entry, in CpuTopology topology, bool tscDeadline)
    {
        const uint CacheLineQuads = 8;
        entry.ebx = (entry.ebx & 0xff) | (CacheLineQuads << 8) | ((uint)topology.Count << 16) | ((uint)topology.Vcpu << 24);
        entry.ecx = (entry.ecx & ~(HostOnlyFeatures1C | TscDeadline)) | Hypervisor | (tscDeadline ? TscDeadline : 0);
        entry.edx = (entry.edx & ~(HostOnlyFeatures1D | HyperThreading)) | (topology.Count > 1 ? HyperThreading : 0);
    }

    private static void ShareCache(ref kvm_cpuid_entry2 entry, in CpuTopology topology, bool withCores)
    {
        uint type = entry.eax & 0x1f;
        if (type == 0)
        {
            return;
        }

        uint level = (entry.eax >> 5) & 0x7;
        uint sharing = level < 3 ? (uint)topology.ThreadsPerCore : (uint)topology.Count;
        entry.eax = (entry.eax & 0x3fff) | ((sharing - 1) << 14);
        if (withCores)
        {
            entry.eax |= (uint)(topology.Cores - 1) << 26;
        }
    }
}
