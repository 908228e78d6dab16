using System.Numerics;
using Hearth.Kvm.Native;
using Hearth.Vmm.Cpu;

namespace Hearth.Vmm.Tests.Cpu;

public class CpuidFilterTests
{
    private const uint Indexed = KvmConstants.KVM_CPUID_FLAG_SIGNIFCANT_INDEX;

    public static TheoryData<bool, bool> Machines => new() { { true, false }, { true, true }, { false, false }, { false, true } };

    [Theory]
    [MemberData(nameof(Machines))]
    public void All_leaves_tell_of_one_package_with_each_vcpu_once(bool intel, bool smt)
    {
        for (int count = 1; count <= 32; count++)
        {
            if (smt && count > 1 && count % 2 == 1)
            {
                continue;
            }

            int threads = smt && count > 1 ? 2 : 1;
            var places = new HashSet<(uint Core, uint Thread)>();
            for (int vcpu = 0; vcpu < count; vcpu++)
            {
                kvm_cpuid_entry2[] guest = CpuidFilter.Apply(Host(intel), vcpu, count, smt, tscDeadline: true);
                kvm_cpuid_entry2 basic = Leaf(guest, 1);
                Assert.Equal((uint)vcpu, basic.ebx >> 24);
                uint declared = (basic.ebx >> 16) & 0xff;
                Assert.Equal(BitOperations.RoundUpToPowerOf2((uint)count), BitOperations.RoundUpToPowerOf2(declared));
                Assert.Equal(count > 1, (basic.edx & (1u << 28)) != 0);

                kvm_cpuid_entry2 thread = Leaf(guest, 0xb, 0), core = Leaf(guest, 0xb, 1), end = Leaf(guest, 0xb, 2);
                Assert.All([thread, core, end], level => Assert.Equal((uint)vcpu, level.edx));
                Assert.Equal(((uint)threads, 1u), (thread.ebx, thread.ecx >> 8));
                Assert.Equal(((uint)count, 2u), (core.ebx, core.ecx >> 8));
                Assert.Equal((0u, 0u), (end.ebx, end.ecx >> 8));
                Assert.Equal(0u, (uint)vcpu >> (int)core.eax);
                Assert.True(places.Add(((uint)vcpu >> (int)thread.eax, (uint)vcpu & ((1u << (int)thread.eax) - 1))));
                CheckCaches(guest, intel ? 4u : 0x8000_001d, threads, count);
                if (!intel)
                {
                    CheckAmd(guest, vcpu, count, threads);
                }
            }

            Assert.Equal(count, places.Count);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Nothing_of_the_host_alone_is_left(bool intel)
    {
        kvm_cpuid_entry2[] guest = CpuidFilter.Apply(Host(intel), 0, 2, false, tscDeadline: true);
        Assert.All([0x5u, 0xau, 0xfu, 0x10u, 0x12u, 0x14u, 0x15u, 0x16u, 0x8000_000a, 0x8000_001f, 0x8000_0026], leaf => Assert.DoesNotContain(guest, e => e.function == leaf));

        // MONITOR, VMX; SGX, RDT, processor trace; WAITPKG; SVM.
        Assert.Equal(0u, Leaf(guest, 1).ecx & ((1u << 3) | (1u << 5)));
        Assert.Equal(0u, Leaf(guest, 7).ebx & ((1u << 2) | (1u << 12) | (1u << 15) | (1u << 25)));
        Assert.Equal(0u, Leaf(guest, 7).ecx & (1u << 5));
        Assert.Equal(0u, Leaf(guest, 0x8000_0001).ecx & (1u << 2));
        Assert.Equal((4u, 0u, 0u, 0u), Registers(Leaf(guest, 6)));
        Assert.Equal((0u, 0u, 0u, 0x100u), Registers(Leaf(guest, 0x8000_0007)));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_guest_knows_that_it_is_one_and_has_kvms_leaves(bool intel)
    {
        kvm_cpuid_entry2[] guest = CpuidFilter.Apply(Host(intel), 0, 1, false, tscDeadline: true);
        Assert.NotEqual(0u, Leaf(guest, 1).ecx & (1u << 31));
        Assert.NotEqual(0u, Leaf(guest, 1).ecx & (1u << 24));
        Assert.Equal(0x4b4d_564bu, Leaf(guest, 0x4000_0000).ebx);
        Assert.Equal(0x0100_0009u, Leaf(guest, 0x4000_0001).eax);
        kvm_cpuid_entry2[] without = CpuidFilter.Apply(Host(intel), 0, 1, false, tscDeadline: false);
        Assert.Equal(0u, Leaf(without, 1).ecx & (1u << 24));
    }

    [Theory]
    [InlineData(true, "Intel(R) Xeon(R) Platinum 8275CL CPU @ 3.00GHz", "Intel(R) Xeon(R) Processor @ 3.00GHz")]
    [InlineData(true, "Intel(R) Xeon(R) Platinum 8488C", "Intel(R) Xeon(R) Processor")]
    [InlineData(true, "@ x.GHz", "Intel(R) Xeon(R) Processor")]
    [InlineData(true, "GHz", "Intel(R) Xeon(R) Processor")]
    [InlineData(true, "", "Intel(R) Xeon(R) Processor")]
    [InlineData(false, "AMD EPYC 7R13 Processor", "AMD EPYC")]
    public void The_brand_is_the_family_and_not_the_hosts_model(bool intel, string host, string expected)
    {
        kvm_cpuid_entry2[] entries = Host(intel);
        byte[] name = new byte[48];
        System.Text.Encoding.ASCII.GetBytes(host, name);
        for (int i = 0; i < 3; i++)
        {
            int at = Array.FindIndex(entries, e => e.function == 0x8000_0002 + (uint)i);
            entries[at].eax = BitConverter.ToUInt32(name, i * 16);
            entries[at].ebx = BitConverter.ToUInt32(name, (i * 16) + 4);
            entries[at].ecx = BitConverter.ToUInt32(name, (i * 16) + 8);
            entries[at].edx = BitConverter.ToUInt32(name, (i * 16) + 12);
        }

        Assert.Equal(expected, BrandString.Read(CpuidFilter.Apply(entries, 0, 1, false, true)));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void No_leaf_is_there_twice(bool intel)
    {
        kvm_cpuid_entry2[] guest = CpuidFilter.Apply(Host(intel), 3, 4, true, true);
        Assert.Equal(guest.Length, guest.Select(e => (e.function, e.index)).Distinct().Count());
    }

    private static void CheckCaches(kvm_cpuid_entry2[] guest, uint function, int threads, int count)
    {
        foreach (kvm_cpuid_entry2 cache in guest.Where(e => e.function == function && (e.eax & 0x1f) != 0))
        {
            uint sharing = ((cache.eax >> 14) & 0xfff) + 1;
            uint level = (cache.eax >> 5) & 7;
            uint expected = level < 3 ? (uint)threads : (uint)count;
            Assert.Equal(BitOperations.RoundUpToPowerOf2(expected), BitOperations.RoundUpToPowerOf2(sharing));
            if (function == 4)
            {
                Assert.Equal(BitOperations.RoundUpToPowerOf2((uint)(count / threads)), BitOperations.RoundUpToPowerOf2((cache.eax >> 26) + 1));
            }
        }
    }

    private static void CheckAmd(kvm_cpuid_entry2[] guest, int vcpu, int count, int threads)
    {
        Assert.Equal((uint)(count - 1), Leaf(guest, 0x8000_0008).ecx & 0xff);
        Assert.True(1u << (int)((Leaf(guest, 0x8000_0008).ecx >> 12) & 0xf) >= count);
        kvm_cpuid_entry2 topology = Leaf(guest, 0x8000_001e);
        Assert.Equal(((uint)vcpu, (uint)(vcpu / threads), (uint)(threads - 1)), (topology.eax, topology.ebx & 0xff, topology.ebx >> 8));
        uint features = Leaf(guest, 0x8000_0001).ecx;
        Assert.NotEqual(0u, features & (1u << 22));
        Assert.Equal(count > 1, (features & 2) != 0);
    }

    private static (uint, uint, uint, uint) Registers(in kvm_cpuid_entry2 e) => (e.eax, e.ebx, e.ecx, e.edx);

    private static kvm_cpuid_entry2 Leaf(kvm_cpuid_entry2[] entries, uint function, uint index = 0) =>
        Assert.Single(entries, e => e.function == function && e.index == index);

    // A host with every feature bit set where the filter should take one away.
    private static kvm_cpuid_entry2[] Host(bool intel)
    {
        const uint All = uint.MaxValue;
        List<kvm_cpuid_entry2> host =
        [
            intel ? E(0, 0x1f, 0x756e_6547, 0x6c65_746e, 0x4965_6e69) : E(0, 0x10, 0x6874_7541, 0x444d_4163, 0x6974_6e65),
            E(1, 0x806f8, 0x1234_5678, All, All),
            E(5, 1, 2, 3, 4),
            E(6, All, All, All, All),
            E(7, 0, All, All, All),
            E(0xa, 1, 2, 3, 4),
            E(0xb, 0, 0, 0, 77),
            E(0xf, 1, 2, 3, 4), E(0x10, 1, 2, 3, 4), E(0x12, 1, 2, 3, 4), E(0x14, 1, 2, 3, 4), E(0x15, 1, 2, 3, 4), E(0x16, 1, 2, 3, 4),
            E(0x4000_0000, 0x4000_0001, 0x4b4d_564b, 0x564b_4d56, 0x4d),
            E(0x4000_0001, 0x0100_0009, 0, 0, 0),
            E(0x8000_0000, 0x8000_0026, 0, 0, 0),
            E(0x8000_0001, 0, 0, All, All),
            E(0x8000_0002, 0, 0, 0, 0), E(0x8000_0003, 0, 0, 0, 0), E(0x8000_0004, 0, 0, 0, 0),
            E(0x8000_0007, All, All, All, All),
            E(0x8000_0008, 0x3030, 0, 0, 0),
            E(0x8000_000a, 1, 2, 3, 4), E(0x8000_001f, 1, 2, 3, 4), E(0x8000_0026, 1, 2, 3, 4),
        ];
        for (uint i = 0; i < 4; i++)
        {
            uint type = i == 3 ? 3u : i + 1, level = i < 2 ? 1u : i;
            kvm_cpuid_entry2 cache = E(intel ? 4u : 0x8000_001d, type | (level << 5) | (0xfffu << 14), 0x1c0_003f, 63, 0);
            cache.index = i;
            cache.flags = Indexed;
            host.Add(cache);
        }

        if (!intel)
        {
            host.Add(E(0x8000_001e, 99, 99, 99, 0));
        }

        return [.. host];
    }

    private static kvm_cpuid_entry2 E(uint function, uint eax, uint ebx, uint ecx, uint edx) =>
        new() { function = function, eax = eax, ebx = ebx, ecx = ecx, edx = edx };
}
