using System.Runtime.InteropServices;

namespace Hearth.Linux.Native;

/// <summary>linux/pkt_sched.h, linux/pkt_cls.h and linux/tc_act/tc_mirred.h: the ingress discipline, the u32 classifier, mirred.</summary>
public static class LinuxPktCls
{
    public const uint TC_H_INGRESS = 0xfffffff1;
    public const uint TC_H_CLSACT = TC_H_INGRESS;
    public const uint TC_H_MIN_INGRESS = 0xfff2;
    public const ushort TCA_U32_SEL = 5;
    public const ushort TCA_U32_ACT = 7;
    public const byte TC_U32_TERMINAL = 1;
    public const ushort TCA_ACT_KIND = 1;
    public const ushort TCA_ACT_OPTIONS = 2;
    public const int TC_ACT_STOLEN = 4;
    public const ushort TCA_MIRRED_PARMS = 2;
    public const int TCA_EGRESS_REDIR = 1;
}

/// <summary>struct tc_u32_sel; its keys follow.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct tc_u32_sel
{
    public byte flags;
    public byte offshift;
    public byte nkeys;
    public ushort offmask;
    public ushort off;
    public short offoff;
    public short hoff;
    public uint hmask;
}

/// <summary>struct tc_u32_key.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct tc_u32_key
{
    public uint mask;
    public uint val;
    public int off;
    public int offmask;
}

/// <summary>struct tc_mirred.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct tc_mirred
{
    public uint index;
    public uint capab;
    public int action;
    public int refcnt;
    public int bindcnt;
    public int eaction;
    public uint ifindex;
}
