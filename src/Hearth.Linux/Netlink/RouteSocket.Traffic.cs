using System.Buffers.Binary;
using Hearth.Linux.Native;

namespace Hearth.Linux.Netlink;

/// <summary>Traffic control: everything that comes in by one link leaves by another. Source: tc(8), tc-u32(8), tc-mirred(8).</summary>
public sealed partial class RouteSocket
{
    // The parent of filters of both ingress and clsact: what comes in.
    private const uint Incoming = (LinuxPktCls.TC_H_CLSACT & 0xffff0000) | LinuxPktCls.TC_H_MIN_INGRESS;
    private const uint IngressHandle = LinuxPktCls.TC_H_INGRESS & 0xffff0000;
    private const ushort EveryProtocol = 3;
    private const string ModulesRemedy = "The host's kernel needs sch_ingress, cls_u32 and act_mirred (modprobe).";

    /// <summary>Removes a link; false if there is none of that index.</summary>
    public bool Remove(int link) => TrySend(
        new NetlinkMessage(LinuxRtnetlink.RTM_DELLINK, 0).Append(new ifinfomsg { ifi_index = link }), $"remove link {link}", Errno.ENODEV);

    /// <summary>
    /// Sends everything that comes in by <paramref name="from"/> out by <paramref name="to"/>: the namespace's own stack sees
    /// nothing of it. cls_u32 with no condition, as cls_matchall is missing in some kernels.
    /// </summary>
    /// <param name="from">A link's index.</param>
    /// <param name="to">A link's index.</param>
    /// <param name="priority">The filter's, by which it is found again; what others have before it goes first.</param>
    public void Redirect(int from, int to, ushort priority)
    {
        // One that is there already, ingress or clsact, serves as well.
        TrySend(
            new NetlinkMessage(LinuxRtnetlink.RTM_NEWQDISC, LinuxRtnetlink.NLM_F_CREATE | LinuxRtnetlink.NLM_F_EXCL)
                .Append(new tcmsg { tcm_ifindex = from, tcm_handle = IngressHandle, tcm_parent = LinuxPktCls.TC_H_INGRESS })
                .Attribute(LinuxRtnetlink.TCA_KIND, "ingress"),
            $"add an ingress discipline to link {from}",
            Errno.EEXIST,
            ModulesRemedy);
        NetlinkMessage filter = new NetlinkMessage(LinuxRtnetlink.RTM_NEWTFILTER, LinuxRtnetlink.NLM_F_CREATE | LinuxRtnetlink.NLM_F_EXCL)
            .Append(Filter(from, priority))
            .Attribute(LinuxRtnetlink.TCA_KIND, "u32")
            .Nested(LinuxRtnetlink.TCA_OPTIONS, options => options
                .Selector()
                .Nested(LinuxPktCls.TCA_U32_ACT, actions => actions.Nested(1, action => action
                    .Attribute(LinuxPktCls.TCA_ACT_KIND, "mirred")
                    .Nested(LinuxPktCls.TCA_ACT_OPTIONS, mirred => mirred.Attribute(
                        LinuxPktCls.TCA_MIRRED_PARMS,
                        new tc_mirred { action = LinuxPktCls.TC_ACT_STOLEN, eaction = LinuxPktCls.TCA_EGRESS_REDIR, ifindex = (uint)to })))));
        TrySend(filter, $"redirect link {from} to link {to}", Errno.None, ModulesRemedy);
    }

    /// <summary>Takes back what <see cref="Redirect"/> did, and the discipline if nobody else has filters there. Nothing there is no error.</summary>
    public void RemoveRedirect(int from, ushort priority)
    {
        // EINVAL, ENOENT: no discipline, or no such filter; EOPNOTSUPP: another discipline's handle.
        TrySend(
            new NetlinkMessage(LinuxRtnetlink.RTM_DELTFILTER, 0).Append(Filter(from, priority)),
            $"remove the redirection of link {from}", [Errno.EINVAL, Errno.ENOENT, Errno.ENODEV, Errno.ENOTSUP], null);
        int others = List<tcmsg, uint>(
            LinuxRtnetlink.RTM_GETTFILTER, LinuxRtnetlink.RTM_NEWTFILTER, new tcmsg { tcm_ifindex = from, tcm_parent = Incoming },
            $"list filters of link {from}", static (filters, header, _) => filters.Add(header.tcm_handle)).Count;
        if (others == 0)
        {
            TrySend(
                new NetlinkMessage(LinuxRtnetlink.RTM_DELQDISC, 0)
                    .Append(new tcmsg { tcm_ifindex = from, tcm_handle = IngressHandle, tcm_parent = LinuxPktCls.TC_H_INGRESS }),
                $"remove the ingress discipline of link {from}", [Errno.EINVAL, Errno.ENOENT, Errno.ENODEV], null);
        }
    }

    private static tcmsg Filter(int link, ushort priority) => new()
    {
        tcm_ifindex = link,
        tcm_parent = Incoming,
        tcm_info = ((uint)priority << 16) | BinaryPrimitives.ReverseEndianness(EveryProtocol),
    };

    private bool TrySend(NetlinkMessage message, string what, Errno harmless, string? remedy = null) => TrySend(message, what, [harmless], remedy);

    // False: the kernel answered something harmless.
    private bool TrySend(NetlinkMessage message, string what, ReadOnlySpan<Errno> harmless, string? remedy)
    {
        try
        {
            Send(message, what);
            return true;
        }
        catch (LinuxException e) when (e.Errno != Errno.None)
        {
            return harmless.Contains(e.Errno) ? false : throw new LinuxException($"netlink: {what}", e.Errno, remedy);
        }
    }
}

/// <summary>Attributes that are structures.</summary>
internal static class TrafficAttributes
{
    /// <summary>A selector with one key that everything matches.</summary>
    public static NetlinkMessage Selector(this NetlinkMessage message) => message.Attribute(
        LinuxPktCls.TCA_U32_SEL, new Selection { Head = new tc_u32_sel { flags = LinuxPktCls.TC_U32_TERMINAL, nkeys = 1 }, Key = default });

    private struct Selection
    {
        public tc_u32_sel Head;
        public tc_u32_key Key;
    }
}
