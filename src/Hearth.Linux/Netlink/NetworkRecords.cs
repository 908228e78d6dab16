using System.Net;

namespace Hearth.Linux.Netlink;

/// <summary>A link as the kernel describes it.</summary>
/// <param name="Index">Its number in its namespace.</param>
/// <param name="Name">Its name there.</param>
/// <param name="HardwareType"><c>ARPHRD_*</c>; 1 is Ethernet.</param>
/// <param name="Up">Whether it is administratively up.</param>
/// <param name="Loopback">Whether it is the loopback.</param>
/// <param name="Mtu">Bytes.</param>
/// <param name="HardwareAddress">Empty if it has none.</param>
/// <param name="Statistics">Counted since it was made.</param>
public sealed record LinkRecord(
    int Index, string Name, int HardwareType, bool Up, bool Loopback, uint Mtu, byte[] HardwareAddress, LinkStatistics Statistics)
{
    /// <summary>Whether it is up and has something at its other end: of a TAP, a process that has it open.</summary>
    public bool Carrier { get; init; }

    /// <summary>ARPHRD_ETHER.</summary>
    public bool IsEthernet => HardwareType == 1 && !Loopback;
}

/// <summary>A link's counters, from its own side. Source: struct rtnl_link_stats64.</summary>
public readonly record struct LinkStatistics(
    ulong ReceivedPackets, ulong SentPackets, ulong ReceivedBytes, ulong SentBytes, ulong ReceivedErrors, ulong SentErrors, ulong ReceivedDropped, ulong SentDropped);

/// <summary>An address of a link.</summary>
/// <param name="Link">The link's index.</param>
/// <param name="Address">The link's own end.</param>
/// <param name="PrefixLength">Bits.</param>
/// <param name="Scope"><c>RT_SCOPE_*</c>.</param>
public sealed record AddressRecord(int Link, IPAddress Address, int PrefixLength, byte Scope);

/// <summary>A unicast route of the main table; over several hops, the first.</summary>
/// <param name="Link">The link's index.</param>
/// <param name="Destination">The default route's has a prefix of no bits.</param>
/// <param name="Gateway">Null: the destination is on the link.</param>
/// <param name="Source">The source address that is preferred.</param>
/// <param name="Metric">Lower goes first.</param>
/// <param name="OnLink">The gateway is on the link even if no address says so.</param>
/// <param name="ByKernel">The kernel made it for an address.</param>
public sealed record RouteRecord(int Link, IPNetwork Destination, IPAddress? Gateway, IPAddress? Source, uint Metric, bool OnLink, bool ByKernel);

/// <summary>A neighbour that is never asked for.</summary>
public sealed record NeighbourRecord(int Link, IPAddress Address, byte[] HardwareAddress);
