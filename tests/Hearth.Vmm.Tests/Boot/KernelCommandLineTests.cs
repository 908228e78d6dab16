using System.Text;
using CsCheck;
using Hearth.Linux;
using Hearth.Vmm.Boot;

namespace Hearth.Vmm.Tests.Boot;

public class KernelCommandLineTests
{
    [Theory]
    [InlineData("console=ttyS0", "console=ttyS0 pci=off")]
    [InlineData("", "pci=off")]
    [InlineData("quiet -- --login shell", "quiet pci=off -- --login shell")]
    [InlineData("quiet --", "quiet pci=off --")]
    [InlineData("-- sh", "pci=off -- sh")]
    [InlineData("--foo a--b", "--foo a--b pci=off")]
    [InlineData("x=\"a -- b\" y", "x=\"a -- b\" y pci=off")]
    public void An_addition_goes_before_what_is_for_init(string given, string expected)
    {
        var line = new KernelCommandLine(given);
        line.Add("pci=off");
        Assert.Equal(expected, line.ToString());
    }

    [Fact]
    public void Without_any_the_line_is_firecrackers_default() =>
        Assert.Equal(
            "reboot=k panic=1 nomodule 8250.nr_uarts=0 i8042.noaux i8042.nomux i8042.dumbkbd swiotlb=noforce",
            new KernelCommandLine(null).ToString());

    [Fact]
    public void A_virtio_device_is_named_by_size_address_and_line()
    {
        var line = new KernelCommandLine("quiet");
        line.AddVirtioMmio(new VirtioMmioSlot(0xc000_1000, 0x1000, 5));
        Assert.Equal("quiet virtio_mmio.device=4K@0xc0001000:5", line.ToString());
    }

    [Theory]
    [InlineData("a\nb")]
    [InlineData("a\tb")]
    [InlineData("caf\u00e9")]
    [InlineData("a\0b")]
    public void Only_printable_ascii_is_allowed(string given) => Assert.Throws<HearthException>(() => new KernelCommandLine(given));

    [Fact]
    public void Exactly_2047_bytes_fit()
    {
        Assert.Equal(2048, new KernelCommandLine(new string('a', 2047)).ToBytes().Length);
        HearthException e = Assert.Throws<HearthException>(() => new KernelCommandLine(new string('a', 2048)).ToBytes());
        Assert.Contains("2048", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Whatever_is_added_the_line_ends_with_what_init_gets_and_one_zero()
    {
        Gen<string> word = Gen.Char['!', '~'].Where(c => c != '"').Array[1, 12].Select(c => new string(c)).Where(w => w != "--");
        Gen.Select(word.Array[0, 10], word.Array[0, 5], word.Array[0, 10]).Sample((kernel, init, added) =>
        {
            string tail = string.Join(' ', init.Prepend("--"));
            var line = new KernelCommandLine(string.Join(' ', kernel.Append(tail)));
            foreach (string argument in added)
            {
                line.Add(argument);
            }

            byte[] bytes = line.ToBytes();
            string text = Encoding.ASCII.GetString(bytes.AsSpan(0, bytes.Length - 1));
            Assert.Equal(string.Join(' ', kernel.Concat(added).Append(tail)), text);
            Assert.Equal(0, bytes[^1]);
            Assert.DoesNotContain('\0', text);
        });
    }
}
