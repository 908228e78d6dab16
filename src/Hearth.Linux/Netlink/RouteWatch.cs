using Hearth.Linux.Native;

namespace Hearth.Linux.Netlink;

/// <summary>
/// Is told when links, addresses or routes change in the network namespace that it was made in. Never blocks; thread: any, one at a time.
/// Source: rtnetlink(7), netlink(7).
/// </summary>
public sealed unsafe class RouteWatch : IDisposable
{
    private const uint Groups =
        LinuxRtnetlink.RTMGRP_LINK | LinuxRtnetlink.RTMGRP_IPV4_IFADDR | LinuxRtnetlink.RTMGRP_IPV4_ROUTE | LinuxRtnetlink.RTMGRP_IPV6_IFADDR | LinuxRtnetlink.RTMGRP_IPV6_ROUTE;

    // What is said is not read: one message of many, cut off, is as good as all.
    private const int Cut = 64;

    public RouteWatch()
    {
        Descriptor = new FileDescriptor(FileDescriptor.Check(
            SysSocket.socket(SysSocket.AF_NETLINK, SysSocket.SOCK_RAW | SysSocket.SOCK_NONBLOCK | SysSocket.SOCK_CLOEXEC, LinuxRtnetlink.NETLINK_ROUTE), "socket(AF_NETLINK)"));
        var address = new sockaddr_nl { nl_family = SysSocket.AF_NETLINK, nl_groups = Groups };
        // SAFETY: the address lives on this stack for the call.
        FileDescriptor.Check(SysSocket.bind(Descriptor.Number, &address, (uint)sizeof(sockaddr_nl)), "bind(AF_NETLINK)");
    }

    /// <summary>Readable when something has changed since <see cref="Drain"/>.</summary>
    public FileDescriptor Descriptor { get; }

    /// <summary>Forgets what has changed so far.</summary>
    /// <returns>Whether anything had.</returns>
    public bool Drain()
    {
        byte* message = stackalloc byte[Cut];
        bool any = false;
        // SAFETY: the buffer lives on this stack and has Cut bytes. A queue that has run over (ENOBUFS) says so once, and goes on.
        while (SysSocket.recv(Descriptor.Number, message, Cut, 0) >= 0 || LinuxException.LastErrno is Errno.ENOBUFS or Errno.EINTR)
        {
            any = true;
        }

        return any;
    }

    public void Dispose() => Descriptor.Dispose();
}
