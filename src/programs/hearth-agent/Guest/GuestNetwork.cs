using System.Globalization;
using System.Net;
using System.Net.NetworkInformation;
using Hearth.Agent.Protocol;
using Hearth.Linux.Netlink;
using Hearth.Ttrpc;

namespace Hearth.Programs.Agent.Guest;

/// <summary>Brings the guest's network into the state that the host asks for.</summary>
internal static class GuestNetwork
{
    public static void Apply(Network network)
    {
        using var routes = new RouteSocket();
        foreach (string spare in network.Spares)
        {
            byte[] address = ParseHardware(spare);
            SpareLinks.Hide(routes, Required(address, routes).Index, address);
        }

        foreach (Link gone in network.Gone)
        {
            byte[] becomes = ParseHardware(gone.Spare);
            if (Find(ParseHardware(gone.HardwareAddress), routes) is { } link)
            {
                SpareLinks.Hide(routes, link.Index, becomes);
            }
        }

        foreach (Route gone in network.GoneRoutes)
        {
            routes.RemoveRoute(Parse(gone));
        }

        foreach (Link link in network.Links)
        {
            ApplyLink(routes, link);
        }

        foreach (Route route in network.Routes)
        {
            routes.AddRoute(Parse(route));
        }

        if (network.Resolver.Length > 0)
        {
            NameForwarder.Start(ParseAddress(network.Resolver));
        }

        foreach (Neighbour neighbour in network.Neighbours)
        {
            routes.AddNeighbour(Find(neighbour.Link), ParseAddress(neighbour.Address), ParseHardware(neighbour.HardwareAddress));
        }
    }

    /// <summary>What went through each interface. Source: proc(5), /proc/net/dev.</summary>
    public static IEnumerable<InterfaceCounters> Counters()
    {
        const int headers = 2;
        foreach (string line in File.ReadLines("/proc/net/dev").Skip(headers))
        {
            int colon = line.LastIndexOf(':');
            ulong[] numbers = [.. line[(colon + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(static text => ulong.Parse(text, CultureInfo.InvariantCulture))];
            yield return new InterfaceCounters
            {
                Name = line[..colon].Trim(),
                ReceivedBytes = numbers[0],
                ReceivedPackets = numbers[1],
                ReceivedErrors = numbers[2],
                ReceivedDropped = numbers[3],
                SentBytes = numbers[8],
                SentPackets = numbers[9],
                SentErrors = numbers[10],
                SentDropped = numbers[11],
            };
        }
    }

    private static void ApplyLink(RouteSocket routes, Link link)
    {
        if (link.Spare.Length > 0)
        {
            SpareLinks.Show(ParseHardware(link.Spare), ParseHardware(link.HardwareAddress));
        }

        int index = link.HardwareAddress.Length == 0 ? Find(link.Name) : Name(Required(ParseHardware(link.HardwareAddress), routes), link.Name, routes);
        if (link.Mtu != 0)
        {
            routes.SetMtu(index, link.Mtu);
        }

        foreach (string address in link.Addresses)
        {
            // Not IPNetwork: an address has bits below its prefix.
            string[] parts = address.Split('/');
            IPAddress ip = ParseAddress(parts[0]);
            int longest = ip.GetAddressBytes().Length * 8;
            if (parts.Length != 2 || !int.TryParse(parts[1], out int prefix) || prefix < 0 || prefix > longest)
            {
                throw Invalid($"\"{address}\" is no address with a prefix length");
            }

            routes.AddAddress(index, ip, prefix);
        }

        routes.SetUp(index);
    }

    private static RouteSpec Parse(Route route) => new()
    {
        Destination = route.Destination.Length == 0 ? null : ParseNetwork(route.Destination),
        Gateway = route.Gateway.Length == 0 ? null : ParseAddress(route.Gateway),
        Link = route.Link.Length == 0 ? 0 : Find(route.Link),
        Source = route.Source.Length == 0 ? null : ParseAddress(route.Source),
        Metric = route.Metric,
        OnLink = route.OnLink,
    };

    private static LinkRecord? Find(byte[] hardwareAddress, RouteSocket routes) =>
        routes.ListLinks().FirstOrDefault(link => link.HardwareAddress.AsSpan().SequenceEqual(hardwareAddress));

    private static LinkRecord Required(byte[] hardwareAddress, RouteSocket routes) => Find(hardwareAddress, routes)
        ?? throw new TtrpcException(StatusCode.NotFound, $"The guest has no network interface with the address {Convert.ToHexString(hardwareAddress)}.");

    private static int Name(LinkRecord link, string name, RouteSocket routes)
    {
        if (name.Length > 0 && name != link.Name)
        {
            routes.SetUp(link.Index, up: false);
            routes.Rename(link.Index, name);
        }

        return link.Index;
    }

    private static int Find(string name) => RouteSocket.IndexOf(name) is not 0 and var index
        ? index
        : throw new TtrpcException(StatusCode.NotFound, $"The guest has no network interface \"{name}\".");

    private static byte[] ParseHardware(string address) =>
        PhysicalAddress.TryParse(address.Replace(':', '-').ToUpperInvariant(), out PhysicalAddress? parsed) && parsed.GetAddressBytes() is { Length: 6 } bytes
            ? bytes
            : throw Invalid($"\"{address}\" is no hardware address");

    private static IPAddress ParseAddress(string address) =>
        IPAddress.TryParse(address, out IPAddress? parsed) ? parsed : throw Invalid($"\"{address}\" is no IP address");

    private static IPNetwork ParseNetwork(string network) =>
        IPNetwork.TryParse(network, out IPNetwork parsed) ? parsed : throw Invalid($"\"{network}\" is no network");

    private static TtrpcException Invalid(string what) => new(StatusCode.InvalidArgument, what + ".");
}
