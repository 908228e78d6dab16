using System.Runtime.InteropServices;

namespace Hearth.Linux.Native;

/// <summary>linux/if_tun.h and net/if.h: TAP interfaces.</summary>
public static class LinuxIfTun
{
    public const uint TUNSETIFF = 0x400454ca;
    public const uint TUNSETPERSIST = 0x400454cb;
    public const uint TUNSETOWNER = 0x400454cc;
    public const uint TUNSETOFFLOAD = 0x400454d0;
    public const uint TUNSETVNETHDRSZ = 0x400454d8;
    public const short IFF_TAP = 0x0002;
    public const short IFF_NO_PI = 0x1000;
    public const short IFF_VNET_HDR = 0x4000;
    public const uint TUN_F_CSUM = 0x01;
    public const uint TUN_F_TSO4 = 0x02;
    public const uint TUN_F_TSO6 = 0x04;
    public const int IFNAMSIZ = 16;
}

/// <summary>struct ifreq, with the member that TUNSETIFF looks at.</summary>
[StructLayout(LayoutKind.Sequential, Size = 40)]
public unsafe struct ifreq
{
    public fixed byte ifr_name[LinuxIfTun.IFNAMSIZ];
    public short ifr_flags;
}
