using CsCheck;
using Hearth.Images.Kernels;

namespace Hearth.Images.Tests.Kernels;

public sealed class KernelConfigTests
{
    private static readonly Gen<string> s_option = Gen.String[Gen.Char["ABCXYZ_019"], 1, 5].Select(n => "CONFIG_" + n);
    private static readonly Gen<string> s_value = Gen.Int[0, 6].Select(i => new[] { "y", "m", "n", "\"\"", "\"a = b # c\"", "0x10", "-3" }[i]);

    [Fact]
    public void What_is_written_reads_back_the_same() =>
        Gen.Dictionary(s_option, s_value)[0, 20].Sample(options =>
        {
            KernelConfig config = Parse(string.Concat(options.Select(o => $"{o.Key}={o.Value}\n")));

            KernelConfig again = Parse(config.ToString());

            Assert.Equal(options.OrderBy(o => o.Key, StringComparer.Ordinal), again.Options.OrderBy(o => o.Key, StringComparer.Ordinal));
            Assert.Equal(config.ToString(), again.ToString());
        });

    [Fact]
    public void Equal_options_in_another_order_are_equal_texts() =>
        Assert.Equal(Parse("CONFIG_A=y\nCONFIG_B=n\n").ToString(), Parse("# comment\n\n# CONFIG_B is not set\r\nCONFIG_A=y").ToString());

    [Fact]
    public void The_later_fragment_wins()
    {
        KernelConfig config = Parse("CONFIG_A=y\nCONFIG_B=y\n");

        config.Merge(Parse("CONFIG_B=n\nCONFIG_C=m\n"));

        Assert.Equal(("y", "n", "m", "n"), (config["CONFIG_A"], config["CONFIG_B"], config["CONFIG_C"], config["CONFIG_D"]));
    }

    [Theory]
    [InlineData("CONFIG_A")]
    [InlineData("CONFIG_A=")]
    [InlineData("CONFIG_=y")]
    [InlineData("A=y")]
    [InlineData("CONFIG_A B=y")]
    [InlineData("=y")]
    [InlineData("rm -rf /")]
    public void A_line_that_is_no_option_is_named_with_its_number(string line)
    {
        ImageException e = Assert.Throws<ImageException>(() => KernelConfig.Parse("CONFIG_OK=y\n" + line, "my.config"));

        Assert.StartsWith($"my.config, line 2: \"{line}\"", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_option_that_is_off_is_not_missed_where_it_is_not_mentioned() =>
        Assert.Equal(
            [("CONFIG_B", "y", "n"), ("CONFIG_C", "n", "y")],
            Parse("CONFIG_C=y\n").Missing(Parse("CONFIG_A=n\nCONFIG_B=y\nCONFIG_C=n\n")));

    [Fact]
    public void A_file_that_is_not_there_is_named()
    {
        ImageException e = Assert.Throws<ImageException>(() => KernelConfig.Load("/nowhere/my.config"));

        Assert.Contains("/nowhere/my.config", e.Message, StringComparison.Ordinal);
    }

    private static KernelConfig Parse(string text) => KernelConfig.Parse(text, "test");
}
