using System.Net;

namespace Hearth.Network.Pods;

/// <summary>An interface of a pod's network namespace, joined to a TAP: what a microVM's interface must be given to stand in for it.</summary>
public sealed record PodInterface
{
    /// <summary>Its index in the namespace, which no other has as long as it is there.</summary>
    public required int Index { get; init; }

    /// <summary>In the namespace and in the guest: <c>eth0</c>.</summary>
    public required string Name { get; init; }

    /// <summary>The TAP in the namespace that the monitor opens.</summary>
    public required string TapName { get; init; }

    /// <summary>The guest's too, so that what others know by ARP stays true: <c>06:00:ac:10:00:02</c>.</summary>
    public required string HardwareAddress { get; init; }

    /// <summary>Bytes.</summary>
    public required uint Mtu { get; init; }

    public required IReadOnlyList<PodAddress> Addresses { get; init; }

    /// <summary>In the order in which they can be added, without those that follow from <see cref="Addresses"/>.</summary>
    public required IReadOnlyList<PodRoute> Routes { get; init; }

    /// <summary>Those that are never asked for.</summary>
    public required IReadOnlyList<PodNeighbour> Neighbours { get; init; }
}

/// <summary>What has become of a namespace's interfaces.</summary>
/// <param name="Interfaces">Joined to a TAP each, as they are now.</param>
/// <param name="Left">Names of those that no TAP was free for.</param>
public sealed record JoinedInterfaces(IReadOnlyList<PodInterface> Interfaces, IReadOnlyList<string> Left);

/// <summary>A TAP without an interface yet, or one whose interface has gone.</summary>
/// <param name="TapName">In the namespace; the monitor opens it.</param>
/// <param name="HardwareAddress">By which the guest knows the device as long as it stands in for no interface.</param>
public sealed record SpareInterface(string TapName, string HardwareAddress);

/// <summary>An address with the length of its prefix; <see cref="ToString"/> is <c>10.0.0.2/24</c>.</summary>
public readonly record struct PodAddress(IPAddress Address, int PrefixLength)
{
    public override string ToString() => $"{Address}/{PrefixLength}";
}

/// <summary>A route by the interface.</summary>
/// <param name="Destination">The default route's is <c>0.0.0.0/0</c> or <c>::/0</c>.</param>
/// <param name="Gateway">Null: the destination is on the link.</param>
/// <param name="Source">The source address that is preferred.</param>
/// <param name="Metric">Lower goes first; 0 is the family's default.</param>
/// <param name="OnLink">The gateway is on the link even if no address says so.</param>
public sealed record PodRoute(IPNetwork Destination, IPAddress? Gateway, IPAddress? Source, uint Metric, bool OnLink);

/// <summary>A neighbour that is never asked for.</summary>
/// <param name="Address">Its address.</param>
/// <param name="HardwareAddress"><c>ee:ee:ee:ee:ee:ee</c>.</param>
public sealed record PodNeighbour(IPAddress Address, string HardwareAddress);
