using System.Net;
using Hearth.Agent.Protocol;
using Hearth.Network.Pods;
using Hearth.Shim.Machine;

namespace Hearth.Shim.Tests.Machine;

/// <summary>What a guest is told of a network that changes while it runs.</summary>
public sealed class GuestNetworkTests
{
    private static readonly SpareInterface[] s_devices = [new("htap4", "02:42:00:00:00:04"), new("htap_1", "02:68:74:00:00:01")];

    private static readonly PodInterface s_first = new()
    {
        Index = 4,
        Name = "eth0",
        TapName = "htap4",
        HardwareAddress = "02:42:00:00:00:04",
        Mtu = 1500,
        Addresses = [new PodAddress(IPAddress.Parse("10.0.0.2"), 24)],
        Routes = [Default("10.0.0.1")],
        Neighbours = [],
    };

    private static readonly PodInterface s_second = s_first with
    {
        Index = 9,
        Name = "eth1",
        TapName = "htap_1",
        HardwareAddress = "02:42:00:00:00:09",
        Addresses = [new PodAddress(IPAddress.Parse("10.1.0.2"), 24)],
        Routes = [],
    };

    [Fact]
    public void What_is_as_it_was_is_not_told()
    {
        Assert.Null(GuestNetwork.Between([], [], s_devices));
        Assert.Null(GuestNetwork.Between([s_first, s_second], [s_second, s_first with { Addresses = [.. s_first.Addresses], Routes = [Default("10.0.0.1")] }], s_devices));
    }

    [Fact]
    public void An_interface_comes_with_the_device_that_it_has_and_goes_to_it()
    {
        Agent.Protocol.Network come = GuestNetwork.Between([s_first], [s_first, s_second], s_devices)!;
        Link link = Assert.Single(come.Links);
        Assert.Equal(("eth1", "02:68:74:00:00:01", "02:42:00:00:00:09"), (link.Name, link.Spare, link.HardwareAddress));
        Assert.Empty(come.Gone);

        // One that was there at the machine's start has its own.
        Agent.Protocol.Network gone = GuestNetwork.Between([s_first, s_second], [s_second], s_devices)!;
        Assert.Equal(("02:42:00:00:00:04", "02:42:00:00:00:04"), (Assert.Single(gone.Gone).Spare, gone.Gone[0].HardwareAddress));
        Assert.Empty(gone.Links);
        // Its routes go with it.
        Assert.Empty(gone.GoneRoutes);
    }

    /// <summary>Docker makes another network the one with the gateway.</summary>
    [Fact]
    public void A_route_moves_from_one_interface_to_another()
    {
        Agent.Protocol.Network change = GuestNetwork.Between([s_first, s_second], [s_first with { Routes = [] }, s_second with { Routes = [Default("10.1.0.1")] }], s_devices)!;

        Assert.Equal(("eth0", "10.0.0.1"), (Assert.Single(change.GoneRoutes).Link, change.GoneRoutes[0].Gateway));
        Assert.Equal(("eth1", "10.1.0.1"), (Assert.Single(change.Routes).Link, change.Routes[0].Gateway));
        Assert.Empty(change.Links);
        Assert.Empty(change.Gone);
    }

    [Fact]
    public void An_interface_with_another_address_is_made_anew()
    {
        PodInterface changed = s_first with { Addresses = [new PodAddress(IPAddress.Parse("10.0.0.3"), 24)] };

        Agent.Protocol.Network change = GuestNetwork.Between([s_first], [changed], s_devices)!;

        Assert.Equal("02:42:00:00:00:04", Assert.Single(change.Gone).Spare);
        Assert.Equal(["10.0.0.3/24"], Assert.Single(change.Links).Addresses);
        Assert.Equal("10.0.0.1", Assert.Single(change.Routes).Gateway);
    }

    /// <summary>After a call that failed half-way.</summary>
    [Fact]
    public void A_guest_in_an_unknown_state_is_told_to_let_go_of_all_and_of_what_there_is()
    {
        Agent.Protocol.Network anew = GuestNetwork.Anew([s_first, s_second], [s_second], s_devices);

        Assert.Equal([s_first.HardwareAddress, s_second.HardwareAddress], anew.Gone.Select(static gone => gone.HardwareAddress));
        Assert.Equal("eth1", Assert.Single(anew.Links).Name);
    }

    private static PodRoute Default(string gateway) => new(IPNetwork.Parse("0.0.0.0/0"), IPAddress.Parse(gateway), null, 0, false);
}
