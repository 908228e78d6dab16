using System.Net;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Hearth.Linux.Native;

namespace Hearth.Linux.Netlink;

/// <summary>What there is: the lists of links, addresses, routes and neighbours.</summary>
public sealed unsafe partial class RouteSocket
{
    // Larger than any part of a list that the kernel sends in one go.
    private const int ListBytes = 64 << 10;
    private const int MostInterruptions = 16;

    /// <summary>All links, in the kernel's order.</summary>
    public IReadOnlyList<LinkRecord> ListLinks() => List<ifinfomsg, LinkRecord>(
        LinuxRtnetlink.RTM_GETLINK, LinuxRtnetlink.RTM_NEWLINK, default, "list links", static (links, header, attributes) =>
        {
            string name = "";
            uint mtu = 0;
            byte[] address = [];
            LinkStatistics statistics = default;
            while (attributes.Next())
            {
                switch (attributes.Type)
                {
                    case LinuxRtnetlink.IFLA_IFNAME:
                        name = attributes.Text;
                        break;
                    case LinuxRtnetlink.IFLA_MTU:
                        mtu = attributes.Number;
                        break;
                    case LinuxRtnetlink.IFLA_ADDRESS:
                        address = attributes.Value.ToArray();
                        break;
                    case LinuxRtnetlink.IFLA_STATS64 when attributes.Value.Length >= Unsafe.SizeOf<LinkStatistics>():
                        statistics = MemoryMarshal.Read<LinkStatistics>(attributes.Value);
                        break;
                    default:
                        break;
                }
            }

            links.Add(new LinkRecord(
                header.ifi_index, name, header.ifi_type, (header.ifi_flags & LinuxRtnetlink.IFF_UP) != 0, (header.ifi_flags & LinuxRtnetlink.IFF_LOOPBACK) != 0,
                mtu, address, statistics)
            {
                Carrier = (header.ifi_flags & LinuxRtnetlink.IFF_LOWER_UP) != 0,
            });
        });

    /// <summary>All addresses, of both families.</summary>
    public IReadOnlyList<AddressRecord> ListAddresses() => List<ifaddrmsg, AddressRecord>(
        LinuxRtnetlink.RTM_GETADDR, LinuxRtnetlink.RTM_NEWADDR, default, "list addresses", static (addresses, header, attributes) =>
        {
            // Of a point-to-point link IFA_ADDRESS is the other end.
            IPAddress? local = null, address = null;
            while (attributes.Next())
            {
                if (attributes.Type == LinuxRtnetlink.IFA_LOCAL)
                {
                    local = AddressOf(attributes.Value);
                }
                else if (attributes.Type == LinuxRtnetlink.IFA_ADDRESS)
                {
                    address = AddressOf(attributes.Value);
                }
            }

            if ((local ?? address) is { } found)
            {
                addresses.Add(new AddressRecord((int)header.ifa_index, found, header.ifa_prefixlen, header.ifa_scope));
            }
        });

    /// <summary>The unicast routes of the main table, of both families.</summary>
    public IReadOnlyList<RouteRecord> ListRoutes() => List<rtmsg, RouteRecord>(
        LinuxRtnetlink.RTM_GETROUTE, LinuxRtnetlink.RTM_NEWROUTE, default, "list routes", static (routes, header, attributes) =>
        {
            if (header.rtm_table != LinuxRtnetlink.RT_TABLE_MAIN || header.rtm_type != LinuxRtnetlink.RTN_UNICAST)
            {
                return;
            }

            bool six = header.rtm_family == SysSocket.AF_INET6;
            var route = new RouteRecord(
                0, new IPNetwork(six ? IPAddress.IPv6Any : IPAddress.Any, 0), null, null, 0, (header.rtm_flags & LinuxRtnetlink.RTNH_F_ONLINK) != 0,
                header.rtm_protocol == LinuxRtnetlink.RTPROT_KERNEL);
            while (attributes.Next())
            {
                route = attributes.Type switch
                {
                    LinuxRtnetlink.RTA_DST when AddressOf(attributes.Value) is { } address => route with { Destination = new IPNetwork(address, header.rtm_dst_len) },
                    LinuxRtnetlink.RTA_OIF => route with { Link = (int)attributes.Number },
                    LinuxRtnetlink.RTA_GATEWAY => route with { Gateway = AddressOf(attributes.Value) },
                    LinuxRtnetlink.RTA_PREFSRC => route with { Source = AddressOf(attributes.Value) },
                    LinuxRtnetlink.RTA_PRIORITY => route with { Metric = attributes.Number },
                    LinuxRtnetlink.RTA_MULTIPATH => WithFirstHop(route, attributes.Value),
                    _ => route,
                };
            }

            routes.Add(route);
        });

    /// <summary>The neighbours that are permanent.</summary>
    public IReadOnlyList<NeighbourRecord> ListNeighbours() => List<ndmsg, NeighbourRecord>(
        LinuxRtnetlink.RTM_GETNEIGH, LinuxRtnetlink.RTM_NEWNEIGH, default, "list neighbours", static (neighbours, header, attributes) =>
        {
            IPAddress? address = null;
            byte[] hardware = [];
            while (attributes.Next())
            {
                if (attributes.Type == LinuxRtnetlink.NDA_DST)
                {
                    address = AddressOf(attributes.Value);
                }
                else if (attributes.Type == LinuxRtnetlink.NDA_LLADDR)
                {
                    hardware = attributes.Value.ToArray();
                }
            }

            if ((header.ndm_state & LinuxRtnetlink.NUD_PERMANENT) != 0 && address is not null && hardware.Length > 0)
            {
                neighbours.Add(new NeighbourRecord(header.ndm_ifindex, address, hardware));
            }
        });

    private static RouteRecord WithFirstHop(RouteRecord route, ReadOnlySpan<byte> hops)
    {
        if (hops.Length < sizeof(rtnexthop) || MemoryMarshal.Read<rtnexthop>(hops) is var hop && (hop.rtnh_len < sizeof(rtnexthop) || hop.rtnh_len > hops.Length))
        {
            return route;
        }

        route = route with { Link = hop.rtnh_ifindex, OnLink = (hop.rtnh_flags & LinuxRtnetlink.RTNH_F_ONLINK) != 0 };
        var attributes = new NetlinkAttributes(hops[sizeof(rtnexthop)..hop.rtnh_len]);
        while (attributes.Next())
        {
            if (attributes.Type == LinuxRtnetlink.RTA_GATEWAY)
            {
                route = route with { Gateway = AddressOf(attributes.Value) };
            }
        }

        return route;
    }

    private static IPAddress? AddressOf(ReadOnlySpan<byte> value) => value.Length is 4 or 16 ? new IPAddress(value) : null;

    private delegate void Reader<THeader, TRecord>(List<TRecord> into, THeader header, NetlinkAttributes attributes)
        where THeader : unmanaged;

    private List<TRecord> List<THeader, TRecord>(ushort get, ushort answers, THeader filter, string what, Reader<THeader, TRecord> read)
        where THeader : unmanaged
    {
        for (int attempt = 0; attempt < MostInterruptions; attempt++)
        {
            var records = new List<TRecord>();
            if (TryList(get, answers, filter, what, read, records))
            {
                return records;
            }
        }

        throw new HearthException($"netlink: {what} failed: the list changed each of {MostInterruptions} times it was read.");
    }

    // False: the list changed while it was sent.
    private bool TryList<THeader, TRecord>(
        ushort get, ushort answers, THeader filter, string what, Reader<THeader, TRecord> read, List<TRecord> records)
        where THeader : unmanaged
    {
        NetlinkMessage request = new NetlinkMessage(get, LinuxRtnetlink.NLM_F_DUMP).Append(filter);
        fixed (byte* p = request.Finish())
        {
            // SAFETY: the message is pinned for the call.
            if (SysSocket.send(_socket.Number, p, (nuint)request.Length, 0) < 0)
            {
                throw LinuxException.Last($"netlink: {what}");
            }
        }

        bool whole = true;
        byte[] buffer = new byte[ListBytes];
        while (true)
        {
            int count = Receive(buffer, what);
            for (ReadOnlySpan<byte> rest = buffer.AsSpan(0, count); rest.Length >= sizeof(nlmsghdr);)
            {
                nlmsghdr header = MemoryMarshal.Read<nlmsghdr>(rest);
                if (header.nlmsg_len < sizeof(nlmsghdr) || header.nlmsg_len > rest.Length)
                {
                    throw new HearthException($"netlink: {what} failed: the kernel's answer is cut off.");
                }

                ReadOnlySpan<byte> body = rest[sizeof(nlmsghdr)..(int)header.nlmsg_len];
                whole &= (header.nlmsg_flags & LinuxRtnetlink.NLM_F_DUMP_INTR) == 0;
                if (header.nlmsg_type == LinuxRtnetlink.NLMSG_DONE)
                {
                    return whole;
                }

                if (header.nlmsg_type == LinuxRtnetlink.NLMSG_ERROR)
                {
                    int error = body.Length >= sizeof(int) ? MemoryMarshal.Read<int>(body) : 0;
                    throw new LinuxException($"netlink: {what}", (Errno)(-error));
                }

                if (header.nlmsg_type == answers && body.Length >= sizeof(THeader))
                {
                    read(records, MemoryMarshal.Read<THeader>(body), new NetlinkAttributes(body[Math.Min((sizeof(THeader) + 3) & ~3, body.Length)..]));
                }

                rest = rest[Math.Min(((int)header.nlmsg_len + 3) & ~3, rest.Length)..];
            }
        }
    }

    private int Receive(byte[] buffer, string what)
    {
        fixed (byte* p = buffer)
        {
            nint count;
            do
            {
                // SAFETY: the buffer is pinned and its length is its own.
                count = SysSocket.recv(_socket.Number, p, (nuint)buffer.Length, 0);
            }
            while (count < 0 && LinuxException.LastErrno == Errno.EINTR);
            return count > 0 ? (int)count : throw LinuxException.Last($"netlink: {what}");
        }
    }
}
