using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Hearth.Linux;
using Hearth.Linux.Netlink;

namespace Hearth.Network.Pods;

/// <summary>
/// The pod's end of the network for a microVM: each interface that CNI left in the namespace is joined to a TAP by two
/// redirections of traffic control, so that the guest speaks with the interface's own addresses. The addresses stay on the
/// interface, for plugins that check them; the namespace's own stack hears nothing of it any more. Thread: any; one call at a
/// time for a namespace.
/// </summary>
public static class PodNetwork
{
    // What is ours in a namespace is found again by these alone, after any crash.
    private const string TapPrefix = "htap";
    private const ushort Priority = 0x6874;

    /// <summary>Joins every interface but the loopback to a TAP of its own. What an earlier call left is replaced.</summary>
    /// <param name="path">The namespace's file.</param>
    /// <param name="tapOwner">The user the monitor runs as, if that is not root.</param>
    /// <returns>The interfaces in the kernel's order; none for a pod without a network.</returns>
    /// <exception cref="HearthException">An interface cannot serve a guest, or the kernel refuses; nothing is left joined.</exception>
    public static async Task<IReadOnlyList<PodInterface>> AttachAsync(string path, uint? tapOwner = null)
    {
        // Joined to TAPs, the host's interfaces would be the host's no more.
        if (Namespaces.IsOwnNetwork(path))
        {
            throw new HearthException($"{path} is the host's own network namespace, which a machine cannot be in: give the pod one of its own.");
        }

        return await InNamespaceAsync(path, routes => Attach(routes, tapOwner)).ConfigureAwait(false);
    }

    /// <summary>
    /// Makes TAPs for interfaces that the manager may move in when the machine runs already. What a guest sends by one that is not joined reaches the
    /// namespace's own stack, where nothing listens.
    /// </summary>
    /// <param name="path">The namespace's file.</param>
    /// <param name="count">How many.</param>
    /// <param name="tapOwner">The user the monitor runs as, if that is not root.</param>
    public static Task<IReadOnlyList<SpareInterface>> MakeSparesAsync(string path, int count, uint? tapOwner = null) => InNamespaceAsync(
        path,
        routes =>
        {
            // Not an interface's own number, as the others have behind the prefix.
            List<SpareInterface> spares = [.. Enumerable.Range(1, count).Select(static number => new SpareInterface($"{TapPrefix}_{number}", $"02:68:74:00:00:{number:x2}"))];
            foreach (SpareInterface spare in spares)
            {
                MakeTap(routes, spare.TapName, tapOwner);
            }

            return (IReadOnlyList<SpareInterface>)spares;
        });

    /// <summary>
    /// Joins the interfaces that are there by now, each to one of the TAPs: one that was joined keeps its own, and the TAPs of those that have
    /// gone are free again.
    /// </summary>
    /// <param name="path">The namespace's file.</param>
    /// <param name="devices">All there are.</param>
    /// <param name="joined">Those that the call before this one joined; none at first.</param>
    /// <exception cref="HearthException">One cannot serve a guest, or the kernel refuses.</exception>
    public static Task<JoinedInterfaces> JoinAsync(string path, IReadOnlyList<SpareInterface> devices, IReadOnlyList<PodInterface> joined) =>
        InNamespaceAsync(path, routes => Join(routes, devices, joined));

    /// <summary>Takes TAPs and redirections away. A namespace that is gone, or has none, is no error.</summary>
    public static async Task DetachAsync(string path)
    {
        if (NetworkNamespace.IsAt(path))
        {
            await InNamespaceAsync(path, static routes =>
            {
                Detach(routes);
                return true;
            }).ConfigureAwait(false);
        }
    }

    /// <summary>The counters of the pod's interfaces, by their names.</summary>
    public static Task<IReadOnlyList<KeyValuePair<string, LinkStatistics>>> StatisticsAsync(string path) => InNamespaceAsync(
        path,
        static routes => (IReadOnlyList<KeyValuePair<string, LinkStatistics>>)[.. from link in routes.ListLinks()
                                                                                   where IsPods(link)
                                                                                   select KeyValuePair.Create(link.Name, link.Statistics)]);

    /// <summary>The interfaces as they are, without joining them: <see cref="PodInterface.TapName"/> is what it would be.</summary>
    public static Task<IReadOnlyList<PodInterface>> DescribeAsync(string path) =>
        InNamespaceAsync(path, static routes => (IReadOnlyList<PodInterface>)[.. Describe(routes).Select(static found => found.Interface)]);

    // The thread of the namespace ends before anybody goes on: a continuation could start a thread there.
    private static Task<T> InNamespaceAsync<T>(string path, Func<RouteSocket, T> work) => Task.Run(() => NetworkNamespace.Run(path, () =>
    {
        using var routes = new RouteSocket();
        return work(routes);
    }));

    private static IReadOnlyList<PodInterface> Attach(RouteSocket routes, uint? tapOwner)
    {
        // An earlier monitor of the same pod has ended.
        if (routes.ListLinks().Any(static link => IsOurs(link) && link.Carrier))
        {
            throw new HearthException("Its network is another machine's already, and two cannot be in one: containers that share a network are in one machine where the same manager runs them, and not otherwise.");
        }

        Detach(routes);
        List<(LinkRecord Link, PodInterface Interface)> found = Describe(routes);
        try
        {
            foreach ((LinkRecord link, PodInterface described) in found)
            {
                Connect(routes, link, MakeTap(routes, described.TapName, tapOwner));
            }
        }
        catch
        {
            Detach(routes);
            throw;
        }

        return [.. found.Select(static pair => pair.Interface)];
    }

    private static JoinedInterfaces Join(RouteSocket routes, IReadOnlyList<SpareInterface> devices, IReadOnlyList<PodInterface> joined)
    {
        List<(LinkRecord Link, PodInterface Interface)> found = Describe(routes);
        Dictionary<int, PodInterface> kept = joined.Where(before => found.Exists(now => now.Link.Index == before.Index)).ToDictionary(static before => before.Index);
        var free = new Queue<string>(devices.Select(static device => device.TapName).Except(kept.Values.Select(static one => one.TapName)));
        foreach (string tap in joined.Select(static before => before.TapName).Intersect(free))
        {
            routes.RemoveRedirect(RouteSocket.IndexOf(tap), Priority);
        }

        var now = new List<PodInterface>();
        var left = new List<string>();
        foreach ((LinkRecord link, PodInterface described) in found)
        {
            if (kept.TryGetValue(link.Index, out PodInterface? before))
            {
                // Only if it has changed: who watches the namespace is told of it.
                if (before.Mtu != link.Mtu)
                {
                    routes.SetMtu(RouteSocket.IndexOf(before.TapName), link.Mtu);
                }

                now.Add(described with { TapName = before.TapName });
            }
            else if (free.TryDequeue(out string? tap))
            {
                int index = RouteSocket.IndexOf(tap);
                // Of a link that was down meanwhile, or of a call that failed: what is there goes first.
                routes.RemoveRedirect(link.Index, Priority);
                routes.RemoveRedirect(index, Priority);
                Connect(routes, link, index);
                now.Add(described with { TapName = tap });
            }
            else
            {
                left.Add(link.Name);
            }
        }

        return new JoinedInterfaces(now, left);
    }

    // Its index is returned.
    private static int MakeTap(RouteSocket routes, string name, uint? owner)
    {
        TapDevice.Create(name, owner);
        Silence(name);
        int tap = RouteSocket.IndexOf(name);
        routes.SetUp(tap);
        return tap;
    }

    private static void Connect(RouteSocket routes, LinkRecord link, int tap)
    {
        routes.SetMtu(tap, link.Mtu);
        routes.Redirect(link.Index, tap, Priority);
        routes.Redirect(tap, link.Index, Priority);
    }

    // An address of the TAP's own would be announced to the guest. A kernel without IPv6 has no such file.
    private static void Silence(string tapName)
    {
        try
        {
            File.WriteAllText($"/proc/sys/net/ipv6/conf/{tapName}/disable_ipv6", "1");
        }
        catch (Exception e) when (e is DirectoryNotFoundException or FileNotFoundException)
        {
        }
    }

    private static void Detach(RouteSocket routes)
    {
        IReadOnlyList<LinkRecord> links = routes.ListLinks();
        foreach (LinkRecord link in links.Where(IsPods))
        {
            routes.RemoveRedirect(link.Index, Priority);
        }

        foreach (LinkRecord link in links.Where(IsOurs))
        {
            routes.Remove(link.Index);
        }
    }

    private static bool IsOurs(LinkRecord link) => link.Name.StartsWith(TapPrefix, StringComparison.Ordinal);

    // Kernels put tunnels into each new namespace (tunl0, sit0), which are down.
    private static bool IsPods(LinkRecord link) => link.Up && !link.Loopback && !IsOurs(link);

    private static List<(LinkRecord Link, PodInterface Interface)> Describe(RouteSocket routes)
    {
        IReadOnlyList<AddressRecord> addresses = routes.ListAddresses();
        IReadOnlyList<RouteRecord> allRoutes = routes.ListRoutes();
        IReadOnlyList<NeighbourRecord> neighbours = routes.ListNeighbours();
        var found = new List<(LinkRecord, PodInterface)>();
        foreach (LinkRecord link in routes.ListLinks().Where(IsPods))
        {
            List<AddressRecord> own = [.. addresses.Where(address => address.Link == link.Index && !address.Address.IsIPv6LinkLocal)];
            if (!link.IsEthernet || link.HardwareAddress.Length != 6)
            {
                if (own.Count == 0)
                {
                    continue;
                }

                throw new HearthException(
                    $"The pod's interface {link.Name} is no Ethernet interface, and a microVM can have no other: choose another CNI plugin, or the handler oci.");
            }

            List<RouteRecord> byLink = [.. allRoutes.Where(route => route.Link == link.Index)];
            List<PodAddress> given = [.. own.Select(address => Given(address, byLink))];
            found.Add((link, new PodInterface
            {
                Index = link.Index,
                Name = link.Name,
                TapName = $"{TapPrefix}{link.Index}",
                HardwareAddress = Format(link.HardwareAddress),
                Mtu = link.Mtu,
                Addresses = given,
                Routes = [.. byLink.Where(route => !Follows(route, given)).OrderBy(static route => route.Gateway is not null)
                    .Select(static route => new PodRoute(route.Destination, route.Gateway, route.Source, route.Metric, route.OnLink))],
                Neighbours = [.. neighbours.Where(neighbour => neighbour.Link == link.Index)
                    .Select(static neighbour => new PodNeighbour(neighbour.Address, Format(neighbour.HardwareAddress)))],
            }));
        }

        return found;
    }

    // An address makes a route to its network. Where the plugin took that one away (ptp: all goes by the gateway), the
    // guest is given the address alone.
    private static PodAddress Given(AddressRecord address, List<RouteRecord> routes)
    {
        int whole = address.Address.AddressFamily == AddressFamily.InterNetworkV6 ? 128 : 32;
        bool makesRoute = address.PrefixLength < whole
            && routes.Exists(route => route.Gateway is null && route.Destination.Equals(NetworkOf(address.Address, address.PrefixLength)));
        return new PodAddress(address.Address, makesRoute ? address.PrefixLength : whole);
    }

    // Whether the guest's kernel makes the route by itself.
    private static bool Follows(RouteRecord route, List<PodAddress> given) =>
        route.ByKernel && route.Gateway is null
        && (route.Destination.BaseAddress.IsIPv6LinkLocal
            || given.Exists(address => route.Destination.Equals(NetworkOf(address.Address, address.PrefixLength))));

    private static IPNetwork NetworkOf(IPAddress address, int prefixLength)
    {
        byte[] bytes = address.GetAddressBytes();
        for (int bit = prefixLength; bit < bytes.Length * 8; bit++)
        {
            bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
        }

        return new IPNetwork(new IPAddress(bytes), prefixLength);
    }

    private static string Format(byte[] hardwareAddress) => string.Join(':', hardwareAddress.Select(static part => part.ToString("x2", CultureInfo.InvariantCulture)));
}
