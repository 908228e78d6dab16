using System.Globalization;
using CsCheck;
using Hearth.Linux;
using Hearth.Platform.Memory;

namespace Hearth.Platform.Tests;

public class GuestMemoryTests
{
    private const ulong GiB = 1UL << 30;

    [Fact]
    public void Ram_above_three_gib_goes_on_at_four_gib()
    {
        using var memory = GuestMemory.Create(4 * GiB);
        Assert.Equal(2, memory.Regions.Count);
        Assert.Equal(new GuestAddress(5 * GiB), memory.End);
        Assert.Equal(4 * GiB, memory.SizeBytes);
        Assert.True(memory.TryWrite(new GuestAddress(5 * GiB - 8), 0x1122334455667788UL));
        Assert.True(memory.TryRead(new GuestAddress(5 * GiB - 8), out ulong value));
        Assert.Equal(0x1122334455667788UL, value);
    }

    [Theory]
    [InlineData(GuestMemory.MmioGapStart)]
    [InlineData(GuestMemory.MmioGapEnd - 1)]
    [InlineData(GuestMemory.MmioGapStart - 1)]
    [InlineData(ulong.MaxValue)]
    [InlineData(5 * GiB)]
    public void An_access_that_touches_the_gap_or_the_end_is_refused(ulong address)
    {
        using var memory = GuestMemory.Create(4 * GiB);
        Assert.False(memory.TryRead(new GuestAddress(address), out ushort _));
        Assert.False(memory.TryGetSpan(new GuestAddress(address), 2, out _));
    }

    [Fact]
    public void Only_accesses_inside_one_region_are_allowed()
    {
        using var memory = GuestMemory.Create(1 << 20);
        Gen.Select(Gen.ULong, Gen.ULong).Sample((address, length) =>
        {
            bool expected = length <= 1 << 20 && address < 1 << 20 && address + length <= 1 << 20;
            unsafe
            {
                Assert.Equal(expected, memory.TryGetPointer(new GuestAddress(address), length, out _));
            }
        });
        Gen.Select(Gen.ULong[0, 1 << 21], Gen.ULong[0, 1 << 21]).Sample((address, length) =>
        {
            bool expected = address < 1 << 20 && address + length <= 1 << 20;
            unsafe
            {
                Assert.Equal(expected, memory.TryGetPointer(new GuestAddress(address), length, out _));
            }
        });
    }

    [Fact]
    public void A_shared_memfd_has_the_same_layout_and_can_be_mapped_again()
    {
        using var memory = GuestMemory.Create(1 << 20, GuestMemoryBacking.SharedMemfd);
        GuestMemoryRegion region = Assert.Single(memory.Regions);
        Assert.NotNull(region.Fd);
        memory.Write(new GuestAddress(0x1000), 42u);
        using var second = MemoryMapping.Shared(region.Fd, region.FdOffset, region.LengthBytes);
        unsafe
        {
            Assert.Equal(42u, *(uint*)(second.Address + 0x1000));
        }
    }

    [Fact]
    public void Transparent_huge_pages_are_asked_of_the_host_and_only_where_they_are_wanted()
    {
        Assert.SkipUnless(Directory.Exists("/sys/kernel/mm/transparent_hugepage"), "this kernel has no transparent huge pages");
        using var small = GuestMemory.Create(8 << 20);
        using var large = GuestMemory.Create(8 << 20, pages: HugePages.Transparent);
        Assert.DoesNotContain("hg", FlagsOf(small));
        Assert.Contains("hg", FlagsOf(large));
    }

    [Fact]
    public void A_host_without_enough_huge_pages_says_how_to_get_them()
    {
        LinuxException refused = Assert.Throws<LinuxException>(static () => GuestMemory.Create(1UL << 44, pages: HugePages.Hugetlbfs2M));
        Assert.Contains("sysctl vm.nr_hugepages", refused.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(static () => GuestMemory.Create(3 << 20, pages: HugePages.Hugetlbfs2M));
    }

    // Source: proc(5), smaps, VmFlags.
    private static string[] FlagsOf(GuestMemory memory)
    {
        ulong start = (ulong)memory.Regions[0].Mapping.AddressValue;
        ulong at = 0;
        foreach (string line in File.ReadLines("/proc/self/smaps"))
        {
            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words[0].Split('-') is [var from, var to] && ulong.TryParse(from, NumberStyles.HexNumber, null, out ulong begin))
            {
                at = begin <= start && start < ulong.Parse(to, NumberStyles.HexNumber, CultureInfo.InvariantCulture) ? start : 0;
            }
            else if (at == start && words[0] == "VmFlags:")
            {
                return words[1..];
            }
        }

        throw new InvalidOperationException("no such mapping");
    }
}
