using System.Text;
using Google.Protobuf;
using Hearth.Agent.Protocol;
using Hearth.Oci.Runtime;
using Hearth.Ttrpc;

namespace Hearth.Agent.Tests;

/// <summary>The guest as a whole: network, limits, stats, mounts, and callers without manners.</summary>
public sealed class GuestTests(AgentUnderTest agent) : AgentTestBase(agent)
{
    [Fact]
    public async Task The_agent_says_what_it_is()
    {
        CheckResponse check = await Client.CheckAsync(TimeSpan.FromSeconds(30));

        Assert.Equal("0.1.0", check.Version);
        Assert.Equal(File.ReadAllText("/proc/sys/kernel/osrelease").Trim(), check.KernelRelease);
    }

    [Fact]
    public async Task The_network_is_as_asked_and_asking_again_changes_nothing()
    {
        Agent.Ip("link", "add", "tmp0", "address", "06:00:ac:10:00:02", "type", "veth", "peer", "name", "far0");
        Agent.Ip("link", "set", "far0", "up");
        var network = new Network
        {
            Links = { new Link { HardwareAddress = "06:00:AC:10:00:02", Name = "eth0", Mtu = 1400, Addresses = { "10.88.0.2/16", "fd00::2/64" } }, new Link { Name = "lo" } },
            Routes =
            {
                new Route { Gateway = "10.88.0.1" },
                new Route { Destination = "192.168.7.0/24", Link = "eth0", Source = "10.88.0.2", Metric = 9 },
                new Route { Gateway = "169.254.1.1", Destination = "172.20.0.0/16", Link = "eth0", OnLink = true },
                new Route { Gateway = "fd00::1" },
            },
            Neighbours = { new Neighbour { Link = "eth0", Address = "10.88.0.1", HardwareAddress = "06:00:00:00:00:01" } },
        };

        await Client.ConfigureNetworkAsync(network);
        await Client.ConfigureNetworkAsync(network);

        string state = Agent.Ip("addr", "show", "eth0") + Agent.Ip("route") + Agent.Ip("-6", "route") + Agent.Ip("neigh") + Agent.Ip("addr", "show", "lo");
        foreach (string expected in (string[])[
            "inet 10.88.0.2/16", "inet6 fd00::2/64", "mtu 1400", "inet 127.0.0.1/8", "default via 10.88.0.1 dev eth0", "192.168.7.0/24 dev eth0 scope link src 10.88.0.2 metric 9",
            "172.20.0.0/16 via 169.254.1.1 dev eth0", "default via fd00::1 dev eth0", "10.88.0.1 dev eth0 lladdr 06:00:00:00:00:01"])
        {
            Assert.Contains(expected, state, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_spare_interface_is_not_seen_until_a_link_needs_it()
    {
        const string own = "02:68:74:00:00:01";
        Agent.Ip("link", "add", "spare0", "address", own, "type", "veth", "peer", "name", "far1");
        await Client.ConfigureNetworkAsync(new Network { Spares = { own } });
        Assert.DoesNotContain("spare0:", Agent.Ip("link"), StringComparison.Ordinal);

        await Client.ConfigureNetworkAsync(new Network { Links = { new Link { Spare = own, HardwareAddress = "06:00:ac:10:00:07", Name = "eth7", Mtu = 1400, Addresses = { "10.87.0.2/16" } } } });

        string link = Agent.Ip("addr", "show", "eth7");
        Assert.True(link.Contains("06:00:ac:10:00:07") && link.Contains("mtu 1400") && link.Contains("10.87.0.2/16") && link.Contains(",UP"), link);
        var again = new Network { Links = { new Link { Spare = own, HardwareAddress = "06:00:ac:10:00:08", Name = "eth8" } } };
        Assert.Equal(StatusCode.NotFound, (await Assert.ThrowsAsync<TtrpcException>(() => Client.ConfigureNetworkAsync(again))).Code);
    }

    /// <summary>As Docker does to a container that runs (network connect, network disconnect).</summary>
    [Fact]
    public async Task A_link_that_has_gone_is_a_spare_again_and_a_route_that_has_gone_is_no_more()
    {
        const string one = "02:68:74:00:00:11", two = "02:68:74:00:00:12";
        Agent.Ip("link", "add", "spare1", "address", one, "type", "veth", "peer", "name", "far11");
        Agent.Ip("link", "add", "spare2", "address", two, "type", "veth", "peer", "name", "far12");
        Agent.Ip("link", "set", "far11", "up");
        Agent.Ip("link", "set", "far12", "up");
        await Client.ConfigureNetworkAsync(new Network { Spares = { one, two } });
        var first = new Link { Spare = one, HardwareAddress = "06:00:ac:10:00:11", Name = "one", Addresses = { "10.86.0.2/16" } };
        var second = new Link { Spare = two, HardwareAddress = "06:00:ac:10:00:12", Name = "two", Addresses = { "10.85.0.2/16" } };
        var byFirst = new Route { Destination = "10.84.0.0/16", Gateway = "10.86.0.1", Link = "one" };
        var bySecond = new Route { Destination = "10.84.0.0/16", Gateway = "10.85.0.1", Link = "two" };
        await Client.ConfigureNetworkAsync(new Network { Links = { first }, Routes = { byFirst } });
        Assert.Contains("10.84.0.0/16 via 10.86.0.1 dev one", Agent.Ip("route"), StringComparison.Ordinal);

        var change = new Network { Links = { second }, Routes = { bySecond }, GoneRoutes = { byFirst } };
        await Client.ConfigureNetworkAsync(change);
        string routes = Agent.Ip("route");
        Assert.True(routes.Contains("10.84.0.0/16 via 10.85.0.1 dev two") && !routes.Contains("via 10.86.0.1"), routes);

        var end = new Network { Gone = { first } };
        await Client.ConfigureNetworkAsync(end);
        await Client.ConfigureNetworkAsync(end);
        Assert.DoesNotContain("one", Agent.Ip("-br", "link"), StringComparison.Ordinal);
        await Client.ConfigureNetworkAsync(new Network { Links = { new Link { Spare = one, HardwareAddress = "06:00:ac:10:00:13", Name = "three", Addresses = { "10.86.0.3/16" } } } });
        Assert.Contains("10.86.0.3/16", Agent.Ip("addr", "show", "three"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("no-such-link", "10.0.0.1/8", StatusCode.NotFound)]
    [InlineData("lo", "10.0.0.1", StatusCode.InvalidArgument)]
    [InlineData("lo", "10.0.0.1/33", StatusCode.InvalidArgument)]
    [InlineData("lo", "here/8", StatusCode.InvalidArgument)]
    public async Task A_network_that_cannot_be_is_refused(string link, string address, StatusCode code)
    {
        var network = new Network { Links = { new Link { Name = link, Addresses = { address } } } };

        Assert.Equal(code, (await Assert.ThrowsAsync<TtrpcException>(() => Client.ConfigureNetworkAsync(network))).Code);
    }

    [Fact]
    public async Task Limits_that_the_kernel_cannot_keep_are_refused_and_the_others_kept()
    {
        CheckResponse check = await Client.CheckAsync();
        RuntimeSpec spec = AgentUnderTest.Specification("cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu.weight");
        spec = spec with { Linux = spec.Linux! with { Resources = new ResourcesSpec { Pids = new PidsSpec { Limit = 50 }, Memory = new MemorySpec { Limit = 64 << 20 }, Cpu = new CpuSpec { Quota = 50_000, Period = 100_000, Shares = 1024 } } } };
        if (!check.CgroupControllers.Contains("memory"))
        {
            TtrpcException refused = await Assert.ThrowsAsync<TtrpcException>(() => Agent.RunAsync(spec));
            Assert.Equal(StatusCode.FailedPrecondition, refused.Code);
            return;
        }

        Assert.Equal("50\n67108864\n50000 100000\n39\n", (await Agent.RunAsync(spec)).Output);
    }

    [Fact]
    public async Task Stats_and_process_ids_are_those_of_the_container()
    {
        string id = await Agent.StartAsync(AgentUnderTest.Specification("head -c 100000 /dev/zero > /tmp/file; sleep 1000 & echo done; wait"));
        await using Stream output = await Client.OpenStdioAsync(new StdioHandshake(id, "", StdioStream.Stdout));
        await output.ReadExactlyAsync(new byte[5]);

        StatsResponse stats = await Client.StatsAsync(new StatsRequest { ContainerId = id });
        PidsResponse pids = await Client.PidsAsync(new PidsRequest { ContainerId = id });

        Assert.InRange(stats.WritableLayer.UsedBytes, 100_000ul, 110_000ul);
        Assert.True(stats.Cpu.UsageMicroseconds > 0);
        Assert.Equal(2, pids.Pids.Count);
        await Client.RemoveContainerAsync(new RemoveContainerRequest { ContainerId = id });
    }

    [Fact]
    public async Task A_mount_of_the_guest_can_be_bound_into_a_container()
    {
        await Client.MountAsync(new MountRequest { Target = "/run/hearth/volumes/one", Filesystem = new Filesystem { Type = "tmpfs", Source = "tmpfs", Options = { "size=1m" } } });
        RuntimeSpec spec = AgentUnderTest.Specification("echo kept >> /data/file; cat /data/file");
        spec = spec with { Mounts = [.. spec.Mounts, new MountSpec { Destination = "/data", Type = "bind", Source = "/run/hearth/volumes/one", Options = ["rbind", "rslave"] }] };

        Assert.Equal("kept\n", (await Agent.RunAsync(spec)).Output);
        Assert.Equal("kept\nkept\n", (await Agent.RunAsync(spec)).Output);

        await Client.UnmountAsync(new UnmountRequest { Target = "/run/hearth/volumes/one" });
        Assert.Equal("kept\n", (await Agent.RunAsync(spec)).Output);
    }

    [Theory]
    [InlineData("/etc/x")]
    [InlineData("/run/hearth/../x")]
    [InlineData("/run/hearth/containers/c1")]
    public async Task A_mount_elsewhere_is_refused(string target)
    {
        var request = new MountRequest { Target = target, Filesystem = new Filesystem { Type = "tmpfs", Source = "tmpfs" } };

        Assert.Equal(StatusCode.InvalidArgument, (await Assert.ThrowsAsync<TtrpcException>(() => Client.MountAsync(request))).Code);
    }

    [Theory]
    [InlineData("../escape")]
    [InlineData("")]
    [InlineData("..")]
    public async Task A_file_elsewhere_is_refused(string name)
    {
        var request = new WriteFilesRequest { Files = { new GuestFile { Name = name, Content = ByteString.CopyFromUtf8("x") } } };

        Assert.Equal(StatusCode.InvalidArgument, (await Assert.ThrowsAsync<TtrpcException>(() => Client.WriteFilesAsync(request))).Code);
    }

    [Fact]
    public async Task A_stream_of_nobody_and_bytes_that_are_no_header_are_refused()
    {
        TtrpcException nobody = await Assert.ThrowsAsync<TtrpcException>(() => Client.OpenStdioAsync(new StdioHandshake("nobody", "", StdioStream.Stdout)));
        Assert.Equal(StatusCode.NotFound, nobody.Code);

        await using Stream stream = await Agent.ConnectAsync(AgentPorts.Stdio);
        await stream.WriteAsync(Encoding.ASCII.GetBytes("GET / HTTP/1.1\r\n"));
        byte[] reply = new byte[1];
        await stream.ReadExactlyAsync(reply);
        Assert.Equal((byte)StdioReply.Malformed, reply[0]);
        Assert.Equal(0, await stream.ReadAsync(reply));
    }

    [Fact]
    public async Task Files_may_lie_in_folders_and_are_taken_away_again_and_no_name_leads_elsewhere()
    {
        await Client.WriteFilesAsync(new WriteFilesRequest
        {
            Files =
            {
                new GuestFile { Name = "tree/a/file", Content = ByteString.CopyFromUtf8("content") },
                new GuestFile { Name = "tree/b", Directory = true, Mode = 0x1c0 },
            },
        });
        RuntimeSpec spec = AgentUnderTest.Specification("cat /mnt/a/file; stat -c %a /mnt/b; ls /mnt");
        spec = spec with { Mounts = [.. spec.Mounts, new() { Destination = "/mnt", Type = "bind", Source = "/run/hearth/files/tree", Options = ["rbind", "ro"] }] };
        Assert.Equal("content700\na\nb\n", (await Agent.RunAsync(spec)).Output);
        await Client.WriteFilesAsync(new WriteFilesRequest { Removed = { "tree/a", "tree/not-there" } });
        Assert.Equal("700\nb\n", (await Agent.RunAsync(spec)).Output);
        foreach (string name in (string[])["../file", "a/../../file", "/etc/passwd", "a//b", "a/", "."])
        {
            await Assert.ThrowsAsync<TtrpcException>(() => Client.WriteFilesAsync(new WriteFilesRequest { Files = { new GuestFile { Name = name } } }));
        }
    }
}
