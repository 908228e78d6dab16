using Hearth.Agent.Protocol;
using Hearth.Network.Pods;

namespace Hearth.Shim.Machine;

/// <summary>What the guest must be told so that its interfaces stand in for the pod's.</summary>
internal static class GuestNetwork
{
    /// <param name="interfaces">Of the pod's namespace, each with a device of its own.</param>
    public static Agent.Protocol.Network Of(IReadOnlyList<PodInterface> interfaces)
    {
        var network = new Agent.Protocol.Network();
        foreach (PodInterface joined in interfaces)
        {
            Add(network, joined, spare: "");
        }

        return network;
    }

    /// <summary>What brings a guest from one state of its network to another.</summary>
    /// <param name="before">As it was.</param>
    /// <param name="now">As it is to be.</param>
    /// <param name="devices">All that the machine has.</param>
    /// <returns>Null if there is nothing to tell.</returns>
    public static Agent.Protocol.Network? Between(IReadOnlyList<PodInterface> before, IReadOnlyList<PodInterface> now, IReadOnlyList<SpareInterface> devices)
    {
        var network = new Agent.Protocol.Network();
        foreach (PodInterface was in before.Where(was => !now.Any(one => IsSame(was, one))))
        {
            network.Gone.Add(LinkOf(was, SpareOf(was, devices)));
        }

        foreach (PodInterface joined in now)
        {
            if (before.FirstOrDefault(was => IsSame(was, joined)) is not { } was)
            {
                Add(network, joined, SpareOf(joined, devices));
                continue;
            }

            network.GoneRoutes.Add(was.Routes.Except(joined.Routes).Select(route => RouteOf(route, was)));
            network.Routes.Add(joined.Routes.Except(was.Routes).Select(route => RouteOf(route, joined)));
            network.Neighbours.Add(joined.Neighbours.Except(was.Neighbours).Select(neighbour => NeighbourOf(neighbour, joined)));
        }

        return network.CalculateSize() == 0 ? null : network;
    }

    /// <summary>What brings a guest to a state of its network from one that is not known.</summary>
    /// <param name="before">What it may have.</param>
    /// <param name="now">As it is to be.</param>
    /// <param name="devices">All that the machine has.</param>
    public static Agent.Protocol.Network Anew(IReadOnlyList<PodInterface> before, IReadOnlyList<PodInterface> now, IReadOnlyList<SpareInterface> devices)
    {
        var network = new Agent.Protocol.Network();
        network.Gone.Add(before.Select(was => LinkOf(was, SpareOf(was, devices))));
        foreach (PodInterface joined in now)
        {
            Add(network, joined, SpareOf(joined, devices));
        }

        return network;
    }

    private static string SpareOf(PodInterface joined, IReadOnlyList<SpareInterface> devices) => devices.First(device => device.TapName == joined.TapName).HardwareAddress;

    // Whether the guest's link can stay. One with other addresses is made anew, as when its network is left and joined again.
    private static bool IsSame(PodInterface was, PodInterface now) =>
        was.Index == now.Index && was.TapName == now.TapName && was.Name == now.Name && was.HardwareAddress == now.HardwareAddress && was.Mtu == now.Mtu && was.Addresses.SequenceEqual(now.Addresses);

    private static void Add(Agent.Protocol.Network network, PodInterface joined, string spare)
    {
        network.Links.Add(LinkOf(joined, spare));
        network.Routes.Add(joined.Routes.Select(route => RouteOf(route, joined)));
        network.Neighbours.Add(joined.Neighbours.Select(neighbour => NeighbourOf(neighbour, joined)));
    }

    private static Link LinkOf(PodInterface joined, string spare) => new()
    {
        HardwareAddress = joined.HardwareAddress,
        Name = joined.Name,
        Mtu = joined.Mtu,
        Spare = spare,
        Addresses = { joined.Addresses.Select(static address => address.ToString()) },
    };

    private static Route RouteOf(PodRoute route, PodInterface joined) => new()
    {
        Destination = route.Destination.PrefixLength == 0 && route.Gateway is not null ? "" : route.Destination.ToString(),
        Gateway = route.Gateway?.ToString() ?? "",
        Link = joined.Name,
        Source = route.Source?.ToString() ?? "",
        Metric = route.Metric,
        OnLink = route.OnLink,
    };

    private static Neighbour NeighbourOf(PodNeighbour neighbour, PodInterface joined) =>
        new() { Link = joined.Name, Address = neighbour.Address.ToString(), HardwareAddress = neighbour.HardwareAddress };
}
