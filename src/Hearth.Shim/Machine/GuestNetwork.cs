using Hearth.Agent.Protocol;
using Hearth.Network.Pods;

namespace Hearth.Shim.Machine;

/// <summary>What the guest must be told so that its interfaces stand in for the pod's.</summary>
internal static class GuestNetwork
{
    /// <param name="interfaces">Of the pod's namespace.</param>
    /// <param name="spares">The devices of <paramref name="interfaces"/> where they were made before those; empty where each has its own.</param>
    public static Agent.Protocol.Network Of(IReadOnlyList<PodInterface> interfaces, IReadOnlyList<SpareInterface> spares)
    {
        var network = new Agent.Protocol.Network();
        foreach (PodInterface joined in interfaces)
        {
            network.Links.Add(new Link
            {
                HardwareAddress = joined.HardwareAddress,
                Name = joined.Name,
                Mtu = joined.Mtu,
                Spare = spares.FirstOrDefault(spare => spare.TapName == joined.TapName)?.HardwareAddress ?? "",
                Addresses = { joined.Addresses.Select(static address => address.ToString()) },
            });
            foreach (PodRoute route in joined.Routes)
            {
                network.Routes.Add(new Route
                {
                    Destination = route.Destination.PrefixLength == 0 && route.Gateway is not null ? "" : route.Destination.ToString(),
                    Gateway = route.Gateway?.ToString() ?? "",
                    Link = joined.Name,
                    Source = route.Source?.ToString() ?? "",
                    Metric = route.Metric,
                    OnLink = route.OnLink,
                });
            }

            foreach (PodNeighbour neighbour in joined.Neighbours)
            {
                network.Neighbours.Add(new Neighbour { Link = joined.Name, Address = neighbour.Address.ToString(), HardwareAddress = neighbour.HardwareAddress });
            }
        }

        return network;
    }
}
