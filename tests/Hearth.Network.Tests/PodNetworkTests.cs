using System.Net;
using System.Net.Sockets;
using Hearth.Linux;
using Hearth.Linux.Netlink;
using Hearth.Network.Pods;
using Hearth.Virtio.Net;

namespace Hearth.Network.Tests;

public sealed class PodNetworkTests : IDisposable
{
    private const string PodMac = "06:00:0a:4d:00:02";

    private readonly Hosts _hosts = new();

    public void Dispose() => _hosts.Dispose();

    [Fact]
    public async Task The_hosts_own_network_is_left_alone_whatever_its_name()
    {
        HearthException refused = await Assert.ThrowsAsync<HearthException>(() => PodNetwork.AttachAsync("/proc/self/ns/net"));
        Assert.Contains("the host's own", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_guest_is_told_all_that_plugins_left_on_the_interface()
    {
        (string pod, _) = Pair();
        Hosts.Ip(pod, "link set eth0 mtu 1400");
        Hosts.Ip(pod, "route add 10.99.0.0/16 via 10.77.0.9 dev eth0 metric 7 src 10.77.0.2");
        Hosts.Ip(pod, "route add 169.254.1.1 dev eth0 scope link");
        Hosts.Ip(pod, "route add 10.98.0.0/16 via 192.0.2.1 dev eth0 onlink");
        Hosts.Ip(pod, "route add blackhole 10.97.0.0/16");
        Hosts.Ip(pod, "neigh add 169.254.1.1 lladdr ee:ee:ee:ee:ee:ee dev eth0 nud permanent");
        Hosts.Ip(pod, "neigh add fd77::9 lladdr ee:ee:ee:ee:ee:09 dev eth0 nud permanent");
        Hosts.Ip(pod, "link add unused type veth peer name unused1");

        PodInterface eth0 = Assert.Single(await PodNetwork.AttachAsync(pod));

        Assert.Equal("eth0", eth0.Name);
        Assert.Equal(PodMac, eth0.HardwareAddress);
        Assert.Equal(1400u, eth0.Mtu);
        Assert.Equal(["10.77.0.2/24", "fd77::2/64"], eth0.Addresses.Select(static address => address.ToString()).Order());
        Assert.Equal(
            [
                new PodRoute(IPNetwork.Parse("0.0.0.0/0"), IPAddress.Parse("10.77.0.1"), null, 0, false),
                new PodRoute(IPNetwork.Parse("10.98.0.0/16"), IPAddress.Parse("192.0.2.1"), null, 0, true),
                new PodRoute(IPNetwork.Parse("10.99.0.0/16"), IPAddress.Parse("10.77.0.9"), IPAddress.Parse("10.77.0.2"), 7, false),
                new PodRoute(IPNetwork.Parse("169.254.1.1/32"), null, null, 0, false),
                new PodRoute(IPNetwork.Parse("::/0"), IPAddress.Parse("fd77::1"), null, 1024, false),
            ],
            eth0.Routes.OrderBy(static route => route.Destination.BaseAddress.AddressFamily).ThenBy(static route => route.Destination.ToString(), StringComparer.Ordinal));
        Assert.Null(eth0.Routes[0].Gateway);
        Assert.Equal(
            [new PodNeighbour(IPAddress.Parse("169.254.1.1"), "ee:ee:ee:ee:ee:ee"), new PodNeighbour(IPAddress.Parse("fd77::9"), "ee:ee:ee:ee:ee:09")],
            eth0.Neighbours.OrderBy(static neighbour => neighbour.Address.AddressFamily));
    }

    [Fact]
    public async Task Where_all_goes_by_the_gateway_the_guest_has_the_address_alone()
    {
        // What the plugin ptp leaves.
        (string pod, _) = Pair();
        Hosts.Ip(pod, "route flush dev eth0");
        Hosts.Ip(pod, "route add 10.77.0.1 dev eth0 scope link src 10.77.0.2");
        Hosts.Ip(pod, "route add 10.77.0.0/24 via 10.77.0.1 src 10.77.0.2");
        Hosts.Ip(pod, "route add default via 10.77.0.1");

        PodInterface eth0 = Assert.Single(await PodNetwork.DescribeAsync(pod));

        Assert.Contains(new PodAddress(IPAddress.Parse("10.77.0.2"), 32), eth0.Addresses);
        Assert.Equal(
            ["10.77.0.1/32", "0.0.0.0/0", "10.77.0.0/24"],
            eth0.Routes.Where(static route => route.Destination.BaseAddress.AddressFamily == AddressFamily.InterNetwork).Select(static route => route.Destination.ToString()));
    }

    [Fact]
    public async Task A_peer_address_comes_with_the_route_to_its_peer()
    {
        string pod = _hosts.Add("pod");
        Hosts.Ip(pod, "link add eth0 type veth peer name other");
        Hosts.Ip(pod, "link set eth0 up");
        Hosts.Ip(pod, "addr add 10.0.0.2 peer 10.0.0.1/32 dev eth0");

        PodInterface eth0 = Assert.Single(await PodNetwork.DescribeAsync(pod));

        Assert.Equal(["10.0.0.2/32"], eth0.Addresses.Select(static address => address.ToString()));
        Assert.Equal(["10.0.0.1/32"], eth0.Routes.Select(static route => route.Destination.ToString()));
    }

    [Fact]
    public async Task A_namespace_with_nothing_but_a_loopback_has_no_interfaces()
    {
        string pod = _hosts.Add("pod");

        Assert.Empty(await PodNetwork.AttachAsync(pod));
        Assert.Contains("UP", Hosts.Ip(pod, "link show lo"), StringComparison.Ordinal);
        await PodNetwork.DetachAsync(pod);
        await PodNetwork.DetachAsync(Path.Combine(_hosts.Namespaces, "gone"));
    }

    [Fact]
    public async Task Attaching_again_replaces_and_detaching_leaves_nothing()
    {
        (string pod, string peer) = Pair();
        string before = Links(pod);

        PodInterface first = Assert.Single(await PodNetwork.AttachAsync(pod));
        PodInterface second = Assert.Single(await PodNetwork.AttachAsync(pod, tapOwner: 1234));

        Assert.Equal(first.TapName, second.TapName);
        Assert.Contains("user 1234", Hosts.In(pod, "ip", "-d", "link", "show", second.TapName), StringComparison.Ordinal);
        Assert.Single(Hosts.In(pod, "tc", "filter", "show", "dev", "eth0", "ingress").Split('\n'), static line => line.Contains("mirred", StringComparison.Ordinal));
        await PodNetwork.DetachAsync(pod);
        await PodNetwork.DetachAsync(pod);
        Assert.Equal(before, Links(pod));
        Assert.DoesNotContain("ingress", Hosts.In(pod, "tc", "qdisc", "show"), StringComparison.Ordinal);
        Exchange(server: pod, client: peer, IPAddress.Parse("10.77.0.2"));
    }

    [Fact]
    public async Task What_others_filter_stays_in_place()
    {
        (string pod, _) = Pair();
        Hosts.In(pod, "tc", "qdisc", "add", "dev", "eth0", "clsact");
        Hosts.In(pod, "tc", "filter", "add", "dev", "eth0", "ingress", "prio", "5", "protocol", "ip", "u32", "match", "u32", "0", "0", "classid", "1:1");

        await PodNetwork.AttachAsync(pod);
        Assert.Contains("mirred", Hosts.In(pod, "tc", "filter", "show", "dev", "eth0", "ingress"), StringComparison.Ordinal);
        await PodNetwork.DetachAsync(pod);

        string filters = Hosts.In(pod, "tc", "filter", "show", "dev", "eth0", "ingress");
        Assert.Contains("pref 5", filters, StringComparison.Ordinal);
        Assert.DoesNotContain("mirred", filters, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("10.77.0.1", "10.77.0.2")]
    [InlineData("fd77::1", "fd77::2")]
    public async Task A_guest_behind_the_TAP_is_the_pod_to_the_world(string peerAddress, string podAddress)
    {
        (string pod, string peer) = Pair();
        PodInterface eth0 = Assert.Single(await PodNetwork.AttachAsync(pod));
        string guest = _hosts.Add("guest");
        using var splice = new Splice(
            NetworkNamespace.Run(pod, () => TapInterface.Open(eth0.TapName)), NetworkNamespace.Run(guest, static () => TapInterface.Open("eth0")));
        Hosts.Ip(guest, $"link set eth0 address {eth0.HardwareAddress}");
        Configure(guest, eth0);

        Exchange(server: peer, client: guest, IPAddress.Parse(peerAddress));
        Exchange(server: guest, client: peer, IPAddress.Parse(podAddress));

        KeyValuePair<string, LinkStatistics> counted = Assert.Single(await PodNetwork.StatisticsAsync(pod));
        Assert.Equal("eth0", counted.Key);
        Assert.True(counted.Value.ReceivedBytes > 200_000 && counted.Value.SentBytes > 200_000, counted.Value.ToString());
        Assert.Equal(0ul, counted.Value.ReceivedErrors + counted.Value.SentErrors);
    }

    [Fact]
    public async Task Interfaces_that_come_later_are_joined_to_the_reserve_and_no_more_than_that()
    {
        string pod = _hosts.Add("pod");
        string peer = _hosts.Add("peer");
        Assert.Empty(await PodNetwork.AttachAsync(pod));
        IReadOnlyList<SpareInterface> spares = await PodNetwork.MakeSparesAsync(pod, 1);
        Assert.Empty((await PodNetwork.JoinAsync(pod, spares, [])).Interfaces);
        Hosts.Ip(peer, "link add p0 type veth peer name eth0");
        Hosts.Ip(peer, $"link set eth0 address {PodMac} netns {pod}");
        Hosts.Ip(peer, "addr add 10.77.0.1/24 dev p0");
        Hosts.Ip(peer, "link set p0 up");
        Hosts.Ip(pod, "addr add 10.77.0.2/24 dev eth0");
        Hosts.Ip(pod, "link set eth0 mtu 1400 up");

        PodInterface eth0 = Assert.Single((await PodNetwork.JoinAsync(pod, spares, [])).Interfaces);

        Assert.Equal((spares[0].TapName, PodMac, 1400u), (eth0.TapName, eth0.HardwareAddress, eth0.Mtu));
        string guest = _hosts.Add("guest");
        using (new Splice(NetworkNamespace.Run(pod, () => TapInterface.Open(eth0.TapName)), NetworkNamespace.Run(guest, static () => TapInterface.Open("eth0"))))
        {
            Hosts.Ip(guest, $"link set eth0 address {eth0.HardwareAddress}");
            Configure(guest, eth0);
            Exchange(server: peer, client: guest, IPAddress.Parse("10.77.0.1"));
            Exchange(server: guest, client: peer, IPAddress.Parse("10.77.0.2"));

            HearthException taken = await Assert.ThrowsAnyAsync<HearthException>(() => PodNetwork.AttachAsync(pod));
            Assert.Contains("another machine's already", taken.Message, StringComparison.Ordinal);
        }

        Hosts.Ip(pod, "link add eth1 type veth peer name p1");
        Hosts.Ip(pod, "link set eth1 up");
        JoinedInterfaces more = await PodNetwork.JoinAsync(pod, spares, [eth0]);
        Assert.Equal("eth1", Assert.Single(more.Left));
        Assert.Equal((eth0.Index, eth0.TapName), (Assert.Single(more.Interfaces).Index, more.Interfaces[0].TapName));

        // Its place is the other's.
        using var watch = NetworkNamespace.Run(pod, static () => new RouteWatch());
        Assert.False(watch.Drain());
        Hosts.Ip(pod, "link delete eth0");
        Assert.True(watch.Drain());
        JoinedInterfaces changed = await PodNetwork.JoinAsync(pod, spares, more.Interfaces);
        Assert.Equal(("eth1", eth0.TapName), (Assert.Single(changed.Interfaces).Name, changed.Interfaces[0].TapName));
        Assert.Empty(changed.Left);
        Assert.Single(Hosts.In(pod, "tc", "filter", "show", "dev", eth0.TapName, "ingress").Split('\n'), static line => line.Contains("to device eth1", StringComparison.Ordinal));
        watch.Drain();
        await PodNetwork.JoinAsync(pod, spares, changed.Interfaces);
        Assert.False(watch.Drain());
    }

    /// <summary>One that is down is none; it comes back to whatever TAP is free.</summary>
    [Fact]
    public async Task An_interface_that_was_down_is_joined_to_one_TAP_and_not_to_its_old_one_too()
    {
        string pod = _hosts.Add("pod");
        foreach (string name in (string[])["eth0", "eth1"])
        {
            Hosts.Ip(pod, $"link add {name} type veth peer name far-{name}");
            Hosts.Ip(pod, $"link set {name} up");
        }

        IReadOnlyList<SpareInterface> spares = await PodNetwork.MakeSparesAsync(pod, 2);
        // The far ends are down, and so none.
        IReadOnlyList<PodInterface> joined = (await PodNetwork.JoinAsync(pod, spares, [])).Interfaces;
        Assert.Equal([spares[0].TapName, spares[1].TapName], joined.OrderBy(static one => one.Name).Select(static one => one.TapName));
        Hosts.Ip(pod, "link set eth0 down");
        Hosts.Ip(pod, "link set eth1 down");
        Assert.Empty((await PodNetwork.JoinAsync(pod, spares, joined)).Interfaces);
        Hosts.Ip(pod, "link set eth1 up");

        PodInterface back = Assert.Single((await PodNetwork.JoinAsync(pod, spares, [])).Interfaces);

        Assert.Equal(("eth1", spares[0].TapName), (back.Name, back.TapName));
        string[] filters = [.. Hosts.In(pod, "tc", "filter", "show", "dev", "eth1", "ingress").Split('\n').Where(static line => line.Contains("mirred", StringComparison.Ordinal))];
        Assert.Contains($"to device {spares[0].TapName}", Assert.Single(filters), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_interface_that_is_no_Ethernet_is_refused_by_name()
    {
        string pod = _hosts.Add("pod");
        (int status, string output) = Hosts.Try("nsenter", $"--net={pod}", "ip", "tuntap", "add", "wire0", "mode", "tun");
        Assert.SkipUnless(status == 0, output);
        Hosts.Ip(pod, "addr add 10.5.0.1/24 dev wire0");
        Hosts.Ip(pod, "link set wire0 up");

        HearthException refused = await Assert.ThrowsAnyAsync<HearthException>(() => PodNetwork.AttachAsync(pod));

        Assert.Contains("wire0", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_no_namespace_is_refused_by_its_path()
    {
        string file = Path.Combine(_hosts.Folder, "file");
        await File.WriteAllTextAsync(file, "");

        Assert.False(NetworkNamespace.IsAt(file));
        await Assert.ThrowsAnyAsync<HearthException>(() => PodNetwork.AttachAsync(file));
        HearthException missing = await Assert.ThrowsAnyAsync<HearthException>(() => PodNetwork.AttachAsync(file + "2"));
        Assert.Contains(file + "2", missing.Message, StringComparison.Ordinal);
    }

    private static string Links(string path) => Hosts.Ip(path, "-br link");

    // What the agent does with the same facts.
    private static void Configure(string guest, PodInterface eth0) => NetworkNamespace.Run(guest, () =>
    {
        using var routes = new RouteSocket();
        int link = RouteSocket.IndexOf("eth0");
        routes.SetMtu(link, eth0.Mtu);
        foreach (PodAddress address in eth0.Addresses)
        {
            routes.AddAddress(link, address.Address, address.PrefixLength);
        }

        routes.SetUp(link);
        foreach (PodRoute route in eth0.Routes)
        {
            routes.AddRoute(new RouteSpec
            {
                Destination = route.Destination,
                Gateway = route.Gateway,
                Link = link,
                Source = route.Source,
                Metric = route.Metric,
                OnLink = route.OnLink,
            });
        }

        return true;
    });

    // 100,000 bytes there and back.
    private static void Exchange(string server, string client, IPAddress address)
    {
        using Socket listener = NetworkNamespace.Run(server, () => new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp));
        using Socket caller = NetworkNamespace.Run(client, () => new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp));
        listener.Bind(new IPEndPoint(address, 0));
        listener.Listen();
        var echo = new Thread(() =>
        {
            using Socket connection = listener.Accept();
            byte[] buffer = new byte[10_000];
            int count;
            while ((count = connection.Receive(buffer)) > 0)
            {
                connection.Send(buffer.AsSpan(0, count));
            }
        });
        echo.Start();
        byte[] sent = new byte[100_000];
        Random.Shared.NextBytes(sent);
        caller.ReceiveTimeout = 60_000;
        caller.Connect(listener.LocalEndPoint!);
        var sender = new Thread(() =>
        {
            caller.Send(sent);
            caller.Shutdown(SocketShutdown.Send);
        });
        sender.Start();
        byte[] received = new byte[sent.Length];
        for (int done = 0, count = 1; done < received.Length && count > 0; done += count)
        {
            count = caller.Receive(received.AsSpan(done));
        }

        sender.Join();
        echo.Join();
        Assert.Equal(sent, received);
    }

    private (string Pod, string Peer) Pair()
    {
        string pod = _hosts.Add("pod");
        string peer = _hosts.Add("peer");
        Hosts.Ip(pod, "link add eth0 type veth peer name p0");
        Hosts.Ip(pod, $"link set eth0 address {PodMac}");
        Hosts.In(pod, "ip", "link", "set", "p0", "netns", peer);
        Hosts.Ip(peer, "link set p0 up");
        Hosts.Ip(peer, "addr add 10.77.0.1/24 dev p0");
        Hosts.Ip(peer, "addr add fd77::1/64 dev p0 nodad");
        Hosts.Ip(pod, "link set eth0 up");
        Hosts.Ip(pod, "addr add 10.77.0.2/24 dev eth0");
        Hosts.Ip(pod, "addr add fd77::2/64 dev eth0 nodad");
        Hosts.Ip(pod, "route add default via 10.77.0.1");
        Hosts.Ip(pod, "-6 route add default via fd77::1");
        return (pod, peer);
    }
}
