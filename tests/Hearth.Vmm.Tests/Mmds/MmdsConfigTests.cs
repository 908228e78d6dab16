using System.Net;
using Hearth.Vmm.Configuration;
using Hearth.Vmm.Mmds;

namespace Hearth.Vmm.Tests.Mmds;

public class MmdsConfigTests
{
    [Theory]
    [InlineData("169.254.1.0", true)]
    [InlineData("169.254.254.255", true)]
    [InlineData("169.254.0.255", false)]
    [InlineData("169.254.255.0", false)]
    [InlineData("169.255.1.1", false)]
    [InlineData("10.0.0.1", false)]
    [InlineData("fe80::1", false)]
    public void The_address_must_be_link_local(string address, bool valid)
    {
        var config = new MmdsConfig { NetworkInterfaces = ["eth0"], Ipv4Address = IPAddress.Parse(address) };
        if (valid)
        {
            config.Validate(id => id == "eth0");
            Assert.Equal(address, config.EffectiveAddress.ToString());
        }
        else
        {
            Assert.Contains("not link local", Assert.Throws<ConfigurationException>(() => config.Validate(_ => true)).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void The_interfaces_must_exist_and_be_some()
    {
        Assert.Throws<ConfigurationException>(() => new MmdsConfig { NetworkInterfaces = [] }.Validate(_ => true));
        Assert.Throws<ConfigurationException>(() => new MmdsConfig { NetworkInterfaces = ["a", "b"] }.Validate(id => id == "a"));
        var config = new MmdsConfig { NetworkInterfaces = ["a"] };
        config.Validate(id => id == "a");
        Assert.Equal(MmdsVersion.V1, config.Version);
        Assert.Equal("169.254.169.254", config.EffectiveAddress.ToString());
    }
}
