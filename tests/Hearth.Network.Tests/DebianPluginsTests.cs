using System.Net;
using System.Net.Sockets;
using Hearth.Network.Cni;
using Hearth.Network.Pods;
using Hearth.Testing;

namespace Hearth.Network.Tests;

/// <summary>
/// The network that Hearth makes by itself, with Debian's plugins. Its host is a namespace too: the plugins are called
/// there, so that bridges, rules and forwarding are not this machine's.
/// </summary>
public sealed class DebianPluginsTests : IDisposable
{
    private const string Installed = "/usr/lib/cni";

    private readonly Hosts _hosts = new();
    private readonly string _host;
    private readonly string _world;

    public DebianPluginsTests()
    {
        Assert.SkipUnless(File.Exists($"{Installed}/bridge"), "Debian's containernetworking-plugins are not installed");
        _host = _hosts.Add("host");
        _world = _hosts.Add("world");
        foreach (string table in new[] { "iptables", "ip6tables" })
        {
            (int status, string output) = Hosts.Try("nsenter", $"--net={_host}", table, "-t", "nat", "-L", "-n");
            Assert.SkipUnless(status == 0, $"no {table} with NAT on this machine: {output}");
        }

        Hosts.Ip(_host, "link add world type veth peer name eth0");
        Hosts.In(_host, "ip", "link", "set", "eth0", "netns", _world);
        foreach ((string path, string link, string end) in new[] { (_host, "world", "1"), (_world, "eth0", "2") })
        {
            Hosts.Ip(path, $"link set {link} up");
            Hosts.Ip(path, $"addr add 192.0.2.{end}/24 dev {link}");
            Hosts.Ip(path, $"addr add 2001:db8::{end}/64 dev {link} nodad");
        }

        Directory.CreateDirectory(Plugins);
        foreach (string type in new[] { "bridge", "portmap", "host-local" })
        {
            ProgramFile.Write(Path.Combine(Plugins, type), $"#!/bin/sh\nexec nsenter --net={_host} {Installed}/{type}\n");
        }
    }

    private string Plugins => Path.Combine(_hosts.Folder, "bin");

    private string Addresses => Path.Combine(_hosts.Folder, "addresses");

    public void Dispose() => _hosts.Dispose();

    [Fact]
    public async Task Pods_of_the_default_network_reach_each_other_and_the_world_and_are_reached_by_hostPort()
    {
        CniNetworks networks = Networks();
        Assert.Null(await networks.StatusAsync());
        await networks.ValidateAsync(networks.Current());
        string one = _hosts.Add("one"), two = _hosts.Add("two");

        CniResult first = await networks.AttachAsync(Pod("one", one) with
        {
            Capabilities = new CniCapabilities { PortMappings = [new CniPortMapping(8080, 80, "tcp", null)] },
        });
        CniResult second = await networks.AttachAsync(Pod("two", two));

        IPAddress[] firstAddresses = [.. first.PodAddresses.Select(static address => address.Address)];
        IPAddress[] secondAddresses = [.. second.PodAddresses.Select(static address => address.Address)];
        Assert.Equal([AddressFamily.InterNetwork, AddressFamily.InterNetworkV6], firstAddresses.Select(static address => address.AddressFamily));
        Assert.Equal(2, secondAddresses.Except(firstAddresses).Count());
        // The world has no route to pods: it sees the host's address only.
        Assert.Equal("192.0.2.1", Talk(_world, IPAddress.Parse("192.0.2.2"), 81, one, IPAddress.Parse("192.0.2.2"), 81));
        Assert.Equal("2001:db8::1", Talk(_world, IPAddress.Parse("2001:db8::2"), 81, one, IPAddress.Parse("2001:db8::2"), 81));
        Assert.Equal(secondAddresses[0].ToString(), Talk(one, firstAddresses[0], 80, two, firstAddresses[0], 80));
        Assert.Equal(secondAddresses[1].ToString(), Talk(one, firstAddresses[1], 80, two, firstAddresses[1], 80));
        Talk(one, firstAddresses[0], 80, _world, IPAddress.Parse("192.0.2.1"), 8080);
        Talk(one, firstAddresses[1], 80, _world, IPAddress.Parse("2001:db8::1"), 8080);

        PodInterface eth0 = Assert.Single(await PodNetwork.DescribeAsync(one));
        Assert.Equal(firstAddresses.Order(Comparer<IPAddress>.Create(static (a, b) => a.AddressFamily.CompareTo(b.AddressFamily))), eth0.Addresses.Select(static address => address.Address));
        Assert.Equal(["0.0.0.0/0", "::/0"], eth0.Routes.Select(static route => route.Destination.ToString()));

        await networks.DetachAsync("one");
        await networks.DetachAsync("two");
        Assert.DoesNotContain(Reserved(), static name => name.Contains('.') || name.Contains(':'));
        string rules = Hosts.In(_host, "iptables-save") + Hosts.In(_host, "ip6tables-save");
        Assert.DoesNotContain("8080", rules, StringComparison.Ordinal);
        Assert.DoesNotContain("\"one\"", rules, StringComparison.Ordinal);
        Assert.DoesNotContain("veth", Hosts.Ip(_host, "-br link show master hearthtest"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Twelve_pods_at_a_time_get_addresses_of_their_own_and_give_them_back_when_their_namespaces_are_gone()
    {
        CniNetworks networks = Networks();
        string[] names = [.. Enumerable.Range(0, 12).Select(static number => $"pod{number}")];

        CniResult[] results = await Task.WhenAll(names.Select(name => networks.AttachAsync(Pod(name, _hosts.Add(name)))));

        Assert.Equal(12, results.Select(static result => result.PodAddresses.First().Address).Distinct().Count());
        foreach (string name in names)
        {
            NetworkNamespace.Remove(Path.Combine(_hosts.Namespaces, name));
        }

        IReadOnlyList<(string PodId, Linux.HearthException? Failure)> collected = await Networks().CollectAsync(new HashSet<string>());
        Assert.Equal(names.Order(StringComparer.Ordinal), collected.Select(static pair => pair.PodId).Order(StringComparer.Ordinal));
        Assert.All(collected, static pair => Assert.Null(pair.Failure));
        Assert.DoesNotContain(Reserved(), static name => name.Contains('.') || name.Contains(':'));
    }

    [Fact]
    public async Task A_network_without_room_says_so_and_keeps_nothing()
    {
        CniNetworks networks = Networks("10.66.0.0/30");
        await networks.AttachAsync(Pod("one", _hosts.Add("one")));
        await networks.CheckAsync("one");

        CniException failure = await Assert.ThrowsAsync<CniException>(() => networks.AttachAsync(Pod("two", _hosts.Add("two"))));

        Assert.Contains("bridge", failure.Message, StringComparison.Ordinal);
        Assert.Contains("no IP addresses available", failure.Message, StringComparison.Ordinal);
        Assert.Null(networks.Find("two"));
        Assert.DoesNotContain("eth0", Hosts.Ip(Path.Combine(_hosts.Namespaces, "two"), "-br link"), StringComparison.Ordinal);
    }

    private static CniPod Pod(string id, string path) => new() { Id = id, NamespacePath = path, Namespace = "default", Name = id, Uid = id };

    // One connection with a byte; the address from which the server sees the client.
    private static string Talk(string server, IPAddress listening, int port, string client, IPAddress called, int calledPort)
    {
        using Socket listener = NetworkNamespace.Run(server, () => new Socket(listening.AddressFamily, SocketType.Stream, ProtocolType.Tcp));
        using Socket caller = NetworkNamespace.Run(client, () => new Socket(listening.AddressFamily, SocketType.Stream, ProtocolType.Tcp));
        listener.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        listener.Bind(new IPEndPoint(listening, port));
        listener.Listen();
        caller.Connect(new IPEndPoint(called, calledPort));
        using Socket connection = listener.Accept();
        connection.Send("x"u8);
        byte[] received = new byte[1];
        Assert.Equal(1, caller.Receive(received));
        return ((IPEndPoint)connection.RemoteEndPoint!).Address.ToString();
    }

    private IEnumerable<string> Reserved() => Directory.Exists(Addresses)
        ? Directory.GetFiles(Addresses, "*", SearchOption.AllDirectories).Select(static path => Path.GetFileName(path)).Where(static name => !name.StartsWith("last_reserved", StringComparison.Ordinal) && name != "lock")
        : [];

    private CniNetworks Networks(params string[] subnets) => new(new CniOptions
    {
        PluginFolders = [Plugins],
        ConfFolder = Path.Combine(_hosts.Folder, "net.d"),
        CacheFolder = Path.Combine(_hosts.Folder, "cache"),
        Default = new DefaultNetwork
        {
            Subnets = subnets.Length > 0 ? subnets : ["10.66.0.0/24", "fd66::/64"],
            Bridge = "hearthtest",
            AddressFolder = Addresses,
        },
        TimeLimit = TimeSpan.FromMinutes(5),
    });
}
