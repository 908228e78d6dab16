using System.Buffers.Binary;
using Hearth.Platform.Memory;
using Hearth.Vmm.Boot;

namespace Hearth.Vmm.Tests.Boot;

public class MpTableTests
{
    public static TheoryData<int> VcpuCounts => [.. Enumerable.Range(1, 32)];

    [Theory]
    [MemberData(nameof(VcpuCounts))]
    public void The_table_fits_its_kib_and_lists_each_processor_and_pin_once(int vcpus)
    {
        using var memory = GuestMemory.Create(1 << 20);
        MpTable.Write(memory, vcpus);
        Assert.True(memory.TryGetSpan(new GuestAddress(0x9_fc00), 0x400, out Span<byte> area));
        Assert.Equal("_MP_"u8, area[..4]);
        Assert.Equal(1, area[8]);
        Assert.Equal(4, area[9]);
        Assert.Equal(0, Sum(area[..16]));
        int start = (int)(BinaryPrimitives.ReadUInt32LittleEndian(area[4..]) - 0x9_fc00);
        int length = BinaryPrimitives.ReadUInt16LittleEndian(area[(start + 4)..]);
        Assert.InRange(start + length, 0, 0x400);
        Span<byte> table = area.Slice(start, length);
        Assert.Equal("PCMP"u8, table[..4]);
        Assert.Equal(0, Sum(table));
        Assert.Equal(0xfee0_0000u, BinaryPrimitives.ReadUInt32LittleEndian(table[36..]));

        var apicIds = new List<byte>();
        var bootstraps = new List<byte>();
        var pins = new List<byte>();
        int entries = 0, ioApic = -1, localLines = 0;
        for (Span<byte> rest = table[44..]; rest.Length > 0; entries++)
        {
            switch (rest[0])
            {
                case 0:
                    apicIds.Add(rest[1]);
                    Assert.Equal(1, rest[3] & 1);
                    if ((rest[3] & 2) != 0)
                    {
                        bootstraps.Add(rest[1]);
                    }

                    break;
                case 2:
                    ioApic = rest[1];
                    Assert.Equal(0xfec0_0000u, BinaryPrimitives.ReadUInt32LittleEndian(rest[4..]));
                    break;
                case 3:
                    Assert.Equal(ioApic, rest[6]);
                    Assert.Equal(rest[5], rest[7]);
                    pins.Add(rest[7]);
                    break;
                case 4:
                    localLines++;
                    break;
            }

            rest = rest[(rest[0] == 0 ? 20 : 8)..];
        }

        Assert.Equal(BinaryPrimitives.ReadUInt16LittleEndian(table[34..]), entries);
        Assert.Equal(Enumerable.Range(0, vcpus).Select(i => (byte)i), apicIds);
        Assert.Equal([0], bootstraps);
        Assert.DoesNotContain((byte)ioApic, apicIds);
        Assert.Equal(Enumerable.Range(0, 24).Select(i => (byte)i), pins);
        Assert.Equal(2, localLines);
    }

    private static byte Sum(ReadOnlySpan<byte> bytes)
    {
        byte sum = 0;
        foreach (byte b in bytes)
        {
            sum = unchecked((byte)(sum + b));
        }

        return sum;
    }
}
