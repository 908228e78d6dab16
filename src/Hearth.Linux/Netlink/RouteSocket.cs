using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Hearth.Linux.Native;

namespace Hearth.Linux.Netlink;

/// <summary>
/// Links, addresses, routes and neighbours of the network namespace that the socket was made in. What is there already is
/// replaced. Blocking; thread: any, one at a time (the namespace is the socket's, not the thread's). Source: rtnetlink(7).
/// </summary>
public sealed unsafe partial class RouteSocket : IDisposable
{
    private readonly FileDescriptor _socket = new(FileDescriptor.Check(
        SysSocket.socket(SysSocket.AF_NETLINK, SysSocket.SOCK_RAW | SysSocket.SOCK_CLOEXEC, LinuxRtnetlink.NETLINK_ROUTE), "socket(AF_NETLINK)"));

    /// <summary>The index of a link; 0 if there is none of that name.</summary>
    public static int IndexOf(string name) => (int)NetIf.if_nametoindex(name);

    /// <summary>Renames a link, which must be down.</summary>
    public void Rename(int link, string name) => Send(
        new NetlinkMessage(LinuxRtnetlink.RTM_NEWLINK, 0).Append(new ifinfomsg { ifi_index = link }).Attribute(LinuxRtnetlink.IFLA_IFNAME, name),
        $"rename link {link} to \"{name}\"");

    public void SetMtu(int link, uint mtu) => Send(
        new NetlinkMessage(LinuxRtnetlink.RTM_NEWLINK, 0).Append(new ifinfomsg { ifi_index = link }).Attribute(LinuxRtnetlink.IFLA_MTU, mtu),
        $"set link {link} mtu {mtu}");

    public void SetUp(int link, bool up = true) => Send(
        new NetlinkMessage(LinuxRtnetlink.RTM_NEWLINK, 0).Append(new ifinfomsg
        {
            ifi_index = link,
            ifi_flags = up ? LinuxRtnetlink.IFF_UP : 0,
            ifi_change = LinuxRtnetlink.IFF_UP,
        }),
        $"set link {link} {(up ? "up" : "down")}");

    /// <summary>Gives a link another hardware address.</summary>
    public void SetHardwareAddress(int link, ReadOnlySpan<byte> address) => Send(
        new NetlinkMessage(LinuxRtnetlink.RTM_NEWLINK, 0).Append(new ifinfomsg { ifi_index = link }).Attribute(LinuxRtnetlink.IFLA_ADDRESS, address),
        $"set link {link} address {Convert.ToHexString(address)}");

    /// <summary>Moves a link into another network namespace, where it is down and without addresses.</summary>
    /// <param name="link">Its index here.</param>
    /// <param name="space">The namespace's file.</param>
    public void Move(int link, FileDescriptor space) => Send(
        new NetlinkMessage(LinuxRtnetlink.RTM_NEWLINK, 0).Append(new ifinfomsg { ifi_index = link }).Attribute(LinuxRtnetlink.IFLA_NET_NS_FD, (uint)space.Number),
        $"move link {link}");

    /// <summary>Adds an address; an IPv6 one is used at once, without looking for another that has it.</summary>
    public void AddAddress(int link, IPAddress address, int prefix)
    {
        byte[] bytes = address.GetAddressBytes();
        NetlinkMessage message = new NetlinkMessage(LinuxRtnetlink.RTM_NEWADDR, LinuxRtnetlink.NLM_F_CREATE | LinuxRtnetlink.NLM_F_REPLACE)
            .Append(new ifaddrmsg { ifa_family = FamilyOf(address), ifa_prefixlen = (byte)prefix, ifa_index = (uint)link })
            .Attribute(LinuxRtnetlink.IFA_LOCAL, bytes)
            .Attribute(LinuxRtnetlink.IFA_ADDRESS, bytes);
        if (address.AddressFamily == AddressFamily.InterNetworkV6)
        {
            message.Attribute(LinuxRtnetlink.IFA_FLAGS, LinuxRtnetlink.IFA_F_NODAD);
        }

        Send(message, $"add address {address}/{prefix} to link {link}");
    }

    /// <summary>Adds a route.</summary>
    public void AddRoute(RouteSpec route) => Send(
        Describe(
            new NetlinkMessage(LinuxRtnetlink.RTM_NEWROUTE, LinuxRtnetlink.NLM_F_CREATE | LinuxRtnetlink.NLM_F_REPLACE),
            route,
            LinuxRtnetlink.RTPROT_BOOT,
            route.Gateway is null ? LinuxRtnetlink.RT_SCOPE_LINK : LinuxRtnetlink.RT_SCOPE_UNIVERSE),
        $"add route {route}");

    /// <summary>Removes a route, whoever added it. One that is not there is no error.</summary>
    public void RemoveRoute(RouteSpec route) => TrySend(
        Describe(new NetlinkMessage(LinuxRtnetlink.RTM_DELROUTE, 0), route, 0, LinuxRtnetlink.RT_SCOPE_NOWHERE), $"remove route {route}", Errno.ESRCH);

    /// <summary>Adds a neighbour that is never asked for.</summary>
    public void AddNeighbour(int link, IPAddress address, ReadOnlySpan<byte> hardwareAddress) => Send(
        new NetlinkMessage(LinuxRtnetlink.RTM_NEWNEIGH, LinuxRtnetlink.NLM_F_CREATE | LinuxRtnetlink.NLM_F_REPLACE)
            .Append(new ndmsg { ndm_family = FamilyOf(address), ndm_ifindex = link, ndm_state = LinuxRtnetlink.NUD_PERMANENT })
            .Attribute(LinuxRtnetlink.NDA_DST, address.GetAddressBytes())
            .Attribute(LinuxRtnetlink.NDA_LLADDR, hardwareAddress),
        $"add neighbour {address} to link {link}");

    public void Dispose() => _socket.Dispose();

    private static byte FamilyOf(IPAddress address) =>
        (byte)(address.AddressFamily == AddressFamily.InterNetworkV6 ? SysSocket.AF_INET6 : SysSocket.AF_INET);

    private static NetlinkMessage Describe(NetlinkMessage message, RouteSpec route, byte protocol, byte scope)
    {
        IPAddress family = route.Gateway ?? route.Destination?.BaseAddress ?? route.Source ?? IPAddress.Any;
        message.Append(new rtmsg
        {
            rtm_family = FamilyOf(family),
            rtm_dst_len = (byte)(route.Destination?.PrefixLength ?? 0),
            rtm_table = LinuxRtnetlink.RT_TABLE_MAIN,
            rtm_protocol = protocol,
            rtm_scope = scope,
            rtm_type = LinuxRtnetlink.RTN_UNICAST,
            rtm_flags = route.OnLink ? LinuxRtnetlink.RTNH_F_ONLINK : 0,
        });
        if (route.Destination is { } destination)
        {
            message.Attribute(LinuxRtnetlink.RTA_DST, destination.BaseAddress.GetAddressBytes());
        }

        if (route.Gateway is not null)
        {
            message.Attribute(LinuxRtnetlink.RTA_GATEWAY, route.Gateway.GetAddressBytes());
        }

        if (route.Link != 0)
        {
            message.Attribute(LinuxRtnetlink.RTA_OIF, (uint)route.Link);
        }

        if (route.Source is not null)
        {
            message.Attribute(LinuxRtnetlink.RTA_PREFSRC, route.Source.GetAddressBytes());
        }

        if (route.Metric != 0)
        {
            message.Attribute(LinuxRtnetlink.RTA_PRIORITY, route.Metric);
        }

        return message;
    }

    private void Send(NetlinkMessage message, string what)
    {
        byte* answer = stackalloc byte[1024];
        fixed (byte* p = message.Finish())
        {
            // SAFETY: the message is pinned for the call; the answer fits or is cut to its buffer on this stack.
            if (SysSocket.send(_socket.Number, p, (nuint)message.Length, 0) < 0)
            {
                throw LinuxException.Last($"netlink: {what}");
            }
        }

        // SAFETY: as above.
        nint length = SysSocket.recv(_socket.Number, answer, 1024, 0);
        if (length < sizeof(nlmsghdr) + sizeof(int))
        {
            throw LinuxException.Last($"netlink: {what}");
        }

        var reply = new ReadOnlySpan<byte>(answer, (int)length);
        int error = MemoryMarshal.Read<int>(reply[sizeof(nlmsghdr)..]);
        if (MemoryMarshal.Read<nlmsghdr>(reply).nlmsg_type != LinuxRtnetlink.NLMSG_ERROR || error != 0)
        {
            throw new LinuxException($"netlink: {what}", (Errno)(-error));
        }
    }
}

/// <summary>A route. Without a destination it is the default one.</summary>
public sealed record RouteSpec
{
    public IPNetwork? Destination { get; init; }

    public IPAddress? Gateway { get; init; }

    /// <summary>The index of the link; 0 for the gateway's.</summary>
    public int Link { get; init; }

    public IPAddress? Source { get; init; }

    public uint Metric { get; init; }

    /// <summary>The gateway is on the link even if no address says so.</summary>
    public bool OnLink { get; init; }
}
