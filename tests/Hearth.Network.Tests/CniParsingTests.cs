using System.Net;
using System.Text;
using CsCheck;
using Hearth.Network.Cni;

namespace Hearth.Network.Tests;

public sealed class CniParsingTests
{
    [Fact]
    public void A_list_names_its_plugins_and_what_they_want_to_know()
    {
        CniNetworkList list = List("""
            {"cniVersion": "0.4.0", "name": "pods", "disableCheck": "true", "plugins": [
              {"type": "bridge", "bridge": "x0"},
              {"type": "portmap", "capabilities": {"portMappings": true, "bandwidth": false}}]}
            """);

        Assert.Equal("pods", list.Name);
        Assert.Equal(new CniVersion(0, 4, 0), list.Version);
        Assert.True(list.DisableCheck);
        Assert.False(list.DisableGc);
        Assert.Equal(["bridge", "portmap"], list.Plugins.Select(static plugin => plugin.Type));
        Assert.Equal(["portMappings"], list.Plugins[1].Capabilities);
    }

    [Fact]
    public void A_single_configuration_is_a_list_of_one_and_without_a_version_it_is_old()
    {
        CniNetworkList list = List("""{"name": "pods", "type": "bridge"}""");

        Assert.Equal("bridge", Assert.Single(list.Plugins).Type);
        Assert.Equal(CniVersion.Unnamed, list.Version);
    }

    [Theory]
    [InlineData("""{"cniVersions": ["0.4.0", "1.1.0", "7.0.0"], "name": "a", "type": "b"}""", "1.1.0")]
    [InlineData("""{"cniVersion": "1.0.0", "cniVersions": ["0.3.1"], "name": "a", "type": "b"}""", "1.0.0")]
    public void The_newest_version_that_both_know_is_spoken(string json, string version) => Assert.Equal(version, List(json).Version.ToString());

    [Theory]
    [InlineData("", "no JSON")]
    [InlineData("[]", "no JSON object")]
    [InlineData("{", "no JSON")]
    [InlineData("""{"type": "bridge"}""", "no name")]
    [InlineData("""{"name": "../x", "type": "bridge"}""", "../x")]
    [InlineData("""{"name": 3, "type": "bridge"}""", "\"name\" is no string")]
    [InlineData("""{"name": "a"}""", "\"type\" is missing")]
    [InlineData("""{"name": "a", "type": "../sh"}""", "without slashes")]
    [InlineData("""{"name": "a", "plugins": []}""", "no array of 1 to 64")]
    [InlineData("""{"name": "a", "plugins": [3]}""", "plugins[0] is no object")]
    [InlineData("""{"name": "a", "plugins": [{"type": "x"}, {}]}""", "\"plugins[1].type\" is missing")]
    [InlineData("""{"name": "a", "type": "b", "capabilities": []}""", "\"capabilities\" of plugin b is no object")]
    [InlineData("""{"name": "a", "type": "b", "capabilities": {"ips": 1}}""", "\"ips\" of plugin b is neither")]
    [InlineData("""{"name": "a", "type": "b", "cniVersion": "2.0.0"}""", "the newest that is known here is 1.1.0")]
    [InlineData("""{"name": "a", "type": "b", "cniVersion": "one"}""", "\"one\" is no version")]
    [InlineData("""{"name": "a", "name": "b", "type": "b"}""", "no JSON")]
    public void What_is_wrong_with_a_configuration_is_said_with_its_file(string json, string why)
    {
        CniException refused = Assert.Throws<CniException>(() => List(json));

        Assert.Contains("net.conflist", refused.Message, StringComparison.Ordinal);
        Assert.Contains(why, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_result_of_1_0_is_read()
    {
        CniResult result = Result("""
            {"cniVersion": "1.0.0",
             "interfaces": [{"name": "hearth0", "mac": "a2:00:00:00:00:01"}, {"name": "veth1"}, {"name": "eth0", "mac": "a2:00:00:00:00:02", "sandbox": "/run/netns/x"}],
             "ips": [{"address": "10.1.0.1/16", "interface": 0}, {"address": "10.1.0.5/16", "gateway": "10.1.0.1", "interface": 2}, {"address": "fd00::5/64", "gateway": "fd00::1"}],
             "routes": [{"dst": "0.0.0.0/0"}, {"dst": "10.2.3.4/8", "gw": "10.1.0.9"}],
             "dns": {"nameservers": ["10.1.0.1"], "domain": "d", "search": ["s"], "options": ["o"]}}
            """);

        Assert.Equal(["hearth0", "veth1", "eth0"], result.Interfaces.Select(static link => link.Name));
        Assert.Equal(["10.1.0.5", "fd00::5"], result.PodAddresses.Select(static address => address.Address.ToString()));
        Assert.Equal(IPAddress.Parse("10.1.0.1"), result.Addresses[1].Gateway);
        Assert.Equal(["0.0.0.0/0", "10.0.0.0/8"], result.Routes.Select(static route => route.Destination.ToString()));
        Assert.Equal(["10.1.0.1"], result.Dns.Nameservers);
    }

    [Fact]
    public void Results_of_0_3_and_0_2_are_read()
    {
        CniResult newer = Result("""{"cniVersion": "0.3.1", "ips": [{"version": "4", "address": "10.1.0.5/16"}], "dns": {}}""");
        CniResult older = Result("""
            {"cniVersion": "0.2.0", "ip4": {"ip": "10.1.0.5/16", "gateway": "10.1.0.1", "routes": [{"dst": "0.0.0.0/0"}]}, "ip6": {"ip": "fd00::5/64"}}
            """);

        Assert.Equal("10.1.0.5", Assert.Single(newer.PodAddresses).Address.ToString());
        Assert.Equal(["10.1.0.5", "fd00::5"], older.PodAddresses.Select(static address => address.Address.ToString()));
        Assert.Single(older.Routes);
        Assert.Empty(older.Dns.Nameservers);
    }

    [Theory]
    [InlineData("", "no JSON")]
    [InlineData("null", "no JSON object")]
    [InlineData("""{"ips": [{"address": "10.1.0.5"}]}""", "\"10.1.0.5\" is no address with a prefix")]
    [InlineData("""{"ips": [{"address": "10.1.0.5/33"}]}""", "10.1.0.5/33")]
    [InlineData("""{"ips": [{"address": "10.1.0.5/24", "gateway": "x"}]}""", "\"x\" is no address")]
    [InlineData("""{"ips": [{"address": "10.1.0.5/24", "interface": 1}], "interfaces": [{"name": "a"}]}""", "of interface 1, and there are 1")]
    [InlineData("""{"ips": [null]}""", "no address")]
    [InlineData("""{"interfaces": [{}]}""", "has no name")]
    [InlineData("""{"routes": [{"dst": "x"}]}""", "\"x\" is no network")]
    [InlineData("""{"cniVersion": "1.2.0"}""", "1.2.0")]
    [InlineData("""{"ips": 3}""", "")]
    public void What_is_wrong_with_a_result_is_said_with_its_plugin(string json, string why)
    {
        CniException refused = Assert.Throws<CniException>(() => Result(json));

        Assert.Contains("plugin test", refused.Message, StringComparison.Ordinal);
        Assert.Contains(why, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Any_bytes_are_a_configuration_and_a_result_or_are_refused()
    {
        // Pieces of JSON that almost fit together reach further than bytes.
        Gen<string> piece = OneOf(
            "{", "}", "[", "]", ",", ":", "\"name\"", "\"a\"", "\"type\"", "\"plugins\"", "\"cniVersion\"", "\"1.0.0\"", "\"ips\"", "\"address\"", "\"10.0.0.1/8\"",
            "\"interface\"", "\"routes\"", "\"dst\"", "\"dns\"", "\"capabilities\"", "true", "null", "1", "-1", "\"\\ud800\"", "\"cniVersions\"");
        Gen.OneOf(piece.List[0, 24].Select(static pieces => Encoding.UTF8.GetBytes(string.Concat(pieces))), Gen.Byte.Array[0, 64]).Sample(
            static bytes =>
            {
                Refused(() => CniNetworkList.Parse(bytes, "x"));
                Refused(() => CniResult.Parse(bytes, "x"));
            },
            iter: 20_000);
    }

    [Fact]
    public void Each_member_of_a_result_may_be_of_any_type()
    {
        string[] values = ["null", "1", "-1", "1.5", "\"x\"", "\"10.0.0.1/8\"", "[]", "[null]", "[1]", "[\"\"]", "[{}]", "{}", "{\"routes\":[{\"dst\":1}]}", "true", "1e99"];
        Gen<string> member = Gen.Select(
            OneOf("cniVersion", "interfaces", "ips", "routes", "dns", "ip4", "ip6", "name", "type", "plugins", "capabilities", "disableCheck"), OneOf(values),
            static (name, value) => $"\"{name}\":{value}");
        member.List[0, 6].Sample(static members =>
        {
            byte[] json = Encoding.UTF8.GetBytes($"{{{string.Join(',', members)}}}");
            Refused(() => CniNetworkList.Parse(json, "x"));
            Refused(() => CniResult.Parse(json, "x"));
        });
    }

    [Fact]
    public void The_first_valid_file_by_name_is_the_network()
    {
        string folder = Directory.CreateTempSubdirectory("hearth-cni-").FullName;
        try
        {
            Assert.Null(CniConfFolder.First(Path.Combine(folder, "missing")));
            Assert.Null(CniConfFolder.First(folder));
            File.WriteAllText(Path.Combine(folder, "00-readme.txt"), "x");
            File.WriteAllText(Path.Combine(folder, "05-broken.conflist"), "{");
            CniException broken = Assert.Throws<CniException>(() => CniConfFolder.First(folder));
            Assert.Contains("05-broken.conflist", broken.Message, StringComparison.Ordinal);
            File.WriteAllText(Path.Combine(folder, "30-c.json"), """{"name": "c", "type": "x"}""");
            Assert.Equal("c", CniConfFolder.First(folder)!.Name);
            File.WriteAllText(Path.Combine(folder, "20-b.conf"), """{"name": "b", "plugins": [{"type": "x"}]}""");
            Assert.Equal("c", CniConfFolder.First(folder)!.Name);
            File.WriteAllText(Path.Combine(folder, "10-a.conflist"), """{"name": "a", "plugins": [{"type": "x"}]}""");
            Assert.Equal("a", CniConfFolder.First(folder)!.Name);
            Assert.Equal(4, CniConfFolder.All(folder).Count);

            // CNI 1.1: a folder of the network's name.
            Directory.CreateDirectory(Path.Combine(folder, "a"));
            File.WriteAllText(Path.Combine(folder, "a", "1.conf"), """{"type": "more"}""");
            Assert.Equal(["x", "more"], CniConfFolder.First(folder)!.Plugins.Select(static plugin => plugin.Type));
            File.WriteAllText(Path.Combine(folder, "10-a.conflist"), """{"name": "a", "loadOnlyInlinedPlugins": true, "plugins": [{"type": "x"}]}""");
            Assert.Single(CniConfFolder.First(folder)!.Plugins);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Theory]
    [InlineData("1.0", false)]
    [InlineData("1.0.0", true)]
    [InlineData("1.0.-1", false)]
    [InlineData("1.0.0 ", false)]
    [InlineData("", false)]
    [InlineData(null, false)]
    public void A_version_has_three_numbers(string? text, bool is_one) => Assert.Equal(is_one, CniVersion.TryParse(text, out _));

    [Fact]
    public void The_default_network_takes_a_subnet_of_each_family()
    {
        CniNetworkList list = new DefaultNetwork { Subnets = ["10.9.0.0/24", "fd09::/64"], Bridge = "b0" }.ToList();

        Assert.Equal(["bridge", "portmap"], list.Plugins.Select(static plugin => plugin.Type));
        Assert.Contains("fd09::/64", list.Plugins[0].Conf.ToJsonString(), StringComparison.Ordinal);
        Assert.Throws<CniException>(() => new DefaultNetwork { Subnets = ["10.9.0.0/24", "10.8.0.0/24"] }.ToList());
        Assert.Throws<CniException>(() => new DefaultNetwork { Subnets = ["10.9.0.0"] }.ToList());
        Assert.Throws<CniException>(() => new DefaultNetwork { Bridge = "a-name-of-17-chars" }.ToList());
    }

    private static Gen<string> OneOf(params string[] texts) => Gen.Int[0, texts.Length - 1].Select(index => texts[index]);

    private static void Refused(Action parse)
    {
        try
        {
            parse();
        }
        catch (CniException)
        {
            // The one thing that may happen.
        }
    }

    private static CniNetworkList List(string json) => CniNetworkList.Parse(Encoding.UTF8.GetBytes(json), "net.conflist");

    private static CniResult Result(string json) => CniResult.Parse(Encoding.UTF8.GetBytes(json), "the CNI plugin test");
}
