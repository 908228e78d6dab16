using Hearth.Linux;
using Hearth.Shim.Machine;

namespace Hearth.Shim.Tests;

public sealed class MonitorVersionsTests
{
    [Theory]
    [InlineData("1.4.0")]
    [InlineData("1.17.0")]
    [InlineData("1.10.0-dev")]
    public void A_version_that_has_what_pods_need_is_taken(string version) => MonitorVersions.Check("/opt/firecracker", version);

    [Theory]
    [InlineData("1.3.3")]
    [InlineData("0.25.2")]
    [InlineData("2.0.0")]
    [InlineData("")]
    [InlineData("new")]
    public void Any_other_is_refused_with_the_cause_and_the_fix(string version)
    {
        HearthException refused = Assert.Throws<HearthException>(() => MonitorVersions.Check("/opt/firecracker", version));

        Assert.Contains($"/opt/firecracker says that its version is \"{version}\"", refused.Message, StringComparison.Ordinal);
        Assert.Contains("1.4.0", refused.Message, StringComparison.Ordinal);
        Assert.Contains("monitor = \"hearth-vmm\"", refused.Message, StringComparison.Ordinal);
    }
}
