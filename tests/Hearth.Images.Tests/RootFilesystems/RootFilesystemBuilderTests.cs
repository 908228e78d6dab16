using Hearth.Images.RootFilesystems;

namespace Hearth.Images.Tests.RootFilesystems;

public sealed class RootFilesystemBuilderTests
{
    [Theory]
    [InlineData("--aptopt=x")]
    [InlineData("a b")]
    [InlineData("a,b")]
    [InlineData("$(reboot)")]
    [InlineData("")]
    public void What_is_no_package_name_reaches_no_tool(string name)
    {
        ImageException e = Assert.Throws<ImageException>(() => RootFilesystemBuilder.Packages(new RootFilesystemOptions { Include = [name] }));
        Assert.Contains($"\"{name}\"", e.Message, StringComparison.Ordinal);
        Assert.Throws<ImageException>(() => RootFilesystemBuilder.Packages(new RootFilesystemOptions { Suite = name }));
    }

    [Fact]
    public void There_is_one_init()
    {
        Assert.Contains("sysvinit-core", RootFilesystemBuilder.Packages(new RootFilesystemOptions { Include = ["nginx"] }));
        Assert.DoesNotContain("sysvinit-core", RootFilesystemBuilder.Packages(new RootFilesystemOptions { Include = ["systemd-sysv"] }));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(127)]
    public void A_size_that_holds_nothing_is_refused(int sizeMib) =>
        Assert.Throws<ImageException>(() => RootFilesystemBuilder.Packages(new RootFilesystemOptions { SizeMib = sizeMib }));
}
