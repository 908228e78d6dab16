using Hearth.Configuration;
using Hearth.Images.Registries;
using Hearth.Runtime.Images;
using Hearth.Runtime.Pods;
using Hearth.Runtime.State;

namespace Hearth.Runtime.Tests;

public sealed class PodFolderTests
{
    [Fact]
    public void Name_servers_are_the_pods_or_the_hosts()
    {
        PodConfig pod = Pod() with { Dns = new DnsConfig { Servers = ["10.0.0.1", "10.0.0.2"], Searches = ["a.b", "c"], Options = ["ndots:5"] } };
        Assert.Equal("search a.b c\nnameserver 10.0.0.1\nnameserver 10.0.0.2\noptions ndots:5\n", PodFolders.ResolvConf(pod));
        Assert.Equal(PodFolders.ResolvConf(Pod()), PodFolders.ResolvConf(Pod() with { Dns = new DnsConfig() }));
    }

    [Fact]
    public void Hosts_have_the_pods_name_with_each_address()
    {
        string hosts = PodFolders.Hosts(Pod() with { Hostname = "h" }, ["10.0.0.2", "fd00::2"]);
        Assert.StartsWith("127.0.0.1\tlocalhost\n", hosts, StringComparison.Ordinal);
        Assert.EndsWith("10.0.0.2\th\nfd00::2\th\n", hosts, StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_is_removed_with_everything_but_what_links_lead_to()
    {
        using var host = new TemporaryFolder();
        string outside = Directory.CreateDirectory(Path.Combine(host.Path, "outside")).FullName;
        string pod = Directory.CreateDirectory(Path.Combine(host.Path, "pod", "deep")).Parent!.FullName;
        Directory.CreateSymbolicLink(Path.Combine(pod, "deep", "link"), outside);
        PodFolders.RemoveAsync(pod);
        PodFolders.RemoveAsync(pod);
        Assert.True(Directory.Exists(outside));
        Assert.False(Directory.Exists(pod));
    }

    [Theory]
    [InlineData("", 0)]
    [InlineData("1500", 1500)]
    [InlineData("10M", 10_000_000)]
    [InlineData("1Gi", 1 << 30)]
    [InlineData("1.5k", 1500)]
    public void Quantities_are_read(string text, ulong expected) => Assert.Equal(expected, Quantities.Parse(text));

    [Theory]
    [InlineData("M")]
    [InlineData("-1")]
    [InlineData("1X")]
    [InlineData("1000000T")]
    [InlineData("99999999999999999999999999999999999999")]
    public void What_is_no_quantity_is_refused(string text) =>
        Assert.Equal(PodFault.InvalidArgument, Assert.Throws<PodException>(() => Quantities.Parse(text)).Fault);

    [Fact]
    public void Registries_are_spoken_to_as_configured()
    {
        using var host = new TemporaryFolder();
        string password = Path.Combine(host.Path, "password");
        File.WriteAllText(password, "secret\n");
        RegistryOptions options = ImageService.Options(new HearthConfig
        {
            Images = new ImagesConfig { IdleTimeoutS = 7, ParallelLayers = 2 },
            Registries =
            [
                new RegistryConfig { Host = "docker.io", Mirrors = ["mirror:5000", "other"] },
                new RegistryConfig { Host = "mirror:5000", PlainHttp = true, Username = "me", PasswordFile = password },
            ],
        });
        Assert.Equal(["mirror:5000", "other"], options.Mirrors["docker.io"]);
        Assert.Equal(["mirror:5000"], options.PlainHttp);
        Assert.Equal(("me", "secret"), (options.Credentials("mirror:5000")!.Username, options.Credentials("mirror:5000")!.Password));
        Assert.Equal((TimeSpan.FromSeconds(7), 2), (options.IdleTimeout, options.ParallelLayers));
    }

    [Theory]
    [InlineData("../../etc")]
    [InlineData("/kubepods/..")]
    [InlineData("kubepods/./x")]
    [InlineData("kubepods\nx")]
    public void A_cgroup_that_leads_out_of_the_hosts_is_refused(string parent)
    {
        PodConfig config = Pod() with { CgroupParent = parent };

        Assert.Equal(PodFault.InvalidArgument, Assert.Throws<PodException>(() => PodChecks.Check(config)).Fault);
        PodChecks.Check(config with { CgroupParent = "/kubepods/besteffort/pod..1" });
    }

    [Theory]
    [InlineData("a b", "p", "", "", "")]
    [InlineData("", "p", "", "", "")]
    [InlineData("p", "n/m", "", "", "")]
    [InlineData("p", "n", "h\n", "", "")]
    [InlineData("p", "n", "", "1.1.1.1\nnameserver 2", "")]
    [InlineData("p", "n", "", "", "../x")]
    public void Pods_that_make_no_sense_are_refused(string name, string ns, string hostname, string server, string sysctl)
    {
        PodConfig config = new()
        {
            Metadata = new PodMetadata { Name = name, Namespace = ns },
            Hostname = hostname,
            Dns = server.Length == 0 ? null : new DnsConfig { Servers = [server] },
            Sysctls = sysctl.Length == 0 ? new Dictionary<string, string>() : new Dictionary<string, string> { [sysctl] = "1" },
        };
        Assert.Equal(PodFault.InvalidArgument, Assert.Throws<PodException>(() => PodChecks.Check(config)).Fault);
    }

    private static PodConfig Pod() => new() { Metadata = new PodMetadata { Name = "p", Namespace = "n" } };
}
