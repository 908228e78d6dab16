
namespace Hearth.Shim.Protocol.Tests;

public sealed class ShimAddressTests
{
    [Fact]
    public void Both_forms_are_read_as_they_are_printed()
    {
        var address = new ShimAddress(3, "unix:///run/a \"b\".sock");

        Assert.Equal(address, ShimAddress.Parse(address.Print(asJson: true) + "\n"));
        Assert.Equal(address with { Version = 2 }, ShimAddress.Parse(address.Print(asJson: false)));
        Assert.Equal("/run/x.sock", ShimAddress.Parse(" /run/x.sock\n").Address);
    }

    [Theory]
    [InlineData("")]
    [InlineData("hearth-shim: no such file")]
    [InlineData("{")]
    [InlineData("{\"version\":2}")]
    [InlineData("{\"version\":\"2\",\"address\":\"x\"}")]
    public void What_is_no_address_is_said(string printed) => Assert.Throws<FormatException>(() => ShimAddress.Parse(printed));
}
