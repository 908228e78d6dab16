using Hearth.Configuration;
using Hearth.Runtime.Networks;
using Hearth.Runtime.Pods;

namespace Hearth.Runtime.Tests;

public sealed class CniPodNetworkTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_kubelets_range_is_the_default_networks_and_no_configured_ones()
    {
        string conf = Path.Combine(_folder.Path, "net.d");
        var network = new CniPodNetwork(new HearthConfig
        {
            Daemon = new DaemonConfig { Root = Path.Combine(_folder.Path, "root"), State = Path.Combine(_folder.Path, "state") },
            Network = new NetworkConfig { CniConf = conf },
        });

        network.SetPodCidr("10.9.0.0/24, fd09::/64");

        Assert.Contains("10.9.0.0/24", network.Current.Plugins[0].Conf.ToJsonString(), StringComparison.Ordinal);
        Assert.Contains("fd09::/64", network.Current.Plugins[0].Conf.ToJsonString(), StringComparison.Ordinal);
        PodException refused = Assert.Throws<PodException>(() => network.SetPodCidr("nonsense"));
        Assert.Equal(PodFault.InvalidArgument, refused.Fault);
        Assert.Contains("nonsense", refused.Message, StringComparison.Ordinal);
        Assert.Contains("10.9.0.0/24", network.Current.Plugins[0].Conf.ToJsonString(), StringComparison.Ordinal);

        Directory.CreateDirectory(conf);
        File.WriteAllText(Path.Combine(conf, "1.conflist"), """{"cniVersion": "1.0.0", "name": "own", "plugins": [{"type": "bridge"}]}""");
        network.SetPodCidr("10.8.0.0/24");
        Assert.DoesNotContain("10.8.0.0/24", network.Current.Plugins[0].Conf.ToJsonString(), StringComparison.Ordinal);
    }
}
