using CsCheck;
using Hearth.Vmm.Acpi.Aml;

namespace Hearth.Vmm.Tests.Acpi;

public class AmlWriterTests
{
    [Fact]
    public void A_package_length_counts_itself_and_decodes_to_what_was_written()
    {
        // CsCheck runs samples on several threads: each has its own buffer.
        Gen.OneOf(Gen.Int[0, 5000], Gen.Int[0, (1 << 28) - 5]).Sample(content =>
        {
            byte[] encoded = new byte[4];
            int size = AmlWriter.EncodePackageLength(content, encoded);
            Assert.Equal(content + size, Decode(encoded, out int decodedSize));
            Assert.Equal(size, decodedSize);
        });
    }

    [Theory]
    [InlineData(62, 1)]
    [InlineData(63, 2)]
    [InlineData((1 << 12) - 3, 2)]
    [InlineData((1 << 12) - 2, 3)]
    [InlineData((1 << 20) - 4, 3)]
    [InlineData((1 << 20) - 3, 4)]
    public void A_package_length_takes_as_few_bytes_as_it_can(int content, int expected)
    {
        byte[] encoded = new byte[4];
        Assert.Equal(expected, AmlWriter.EncodePackageLength(content, encoded));
        Assert.Equal(content + expected, Decode(encoded, out _));
    }

    [Theory]
    [InlineData("PNP0501", 0x41d0_0501u)]
    [InlineData("PNP0303", 0x41d0_0303u)]
    public void Eisa_ids_are_packed_as_the_specification_says(string id, uint expected) => Assert.Equal(expected, AmlWriter.EisaId(id));

    [Fact]
    public void Nested_blocks_are_as_long_as_what_is_in_them()
    {
        var aml = new AmlWriter();
        using (aml.Scope("\\_SB"))
        {
            using (aml.Device("D"))
            {
                aml.Name("_UID", 0x1234);
            }
        }

        byte[] expected =
        [
            0x10, 22, (byte)'\\', .. "_SB_"u8,
            0x5b, 0x82, 13, .. "D___"u8,
            0x08, .. "_UID"u8, 0x0b, 0x34, 0x12,
        ];
        expected[1] = (byte)(expected.Length - 1);
        expected[9] = (byte)(expected.Length - 9);
        Assert.Equal(expected, aml.Written.ToArray());
    }

    [Theory]
    [InlineData("")]
    [InlineData("LONGER")]
    [InlineData("a")]
    public void A_name_that_acpi_does_not_have_is_refused(string name) =>
        Assert.Throws<ArgumentException>(() => new AmlWriter().Name(name, 1));

    private static int Decode(ReadOnlySpan<byte> encoded, out int size)
    {
        size = (encoded[0] >> 6) + 1;
        if (size == 1)
        {
            return encoded[0] & 0x3f;
        }

        int length = encoded[0] & 0xf;
        for (int i = 1; i < size; i++)
        {
            length |= encoded[i] << (4 + (8 * (i - 1)));
        }

        return length;
    }
}
