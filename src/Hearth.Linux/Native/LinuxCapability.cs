using System.Runtime.InteropServices;

namespace Hearth.Linux.Native;

/// <summary>linux/capability.h.</summary>
public static class LinuxCapability
{
    public const uint _LINUX_CAPABILITY_VERSION_3 = 0x20080522;
    public const int CAP_CHOWN = 0;
    public const int CAP_DAC_OVERRIDE = 1;
    public const int CAP_DAC_READ_SEARCH = 2;
    public const int CAP_FOWNER = 3;
    public const int CAP_FSETID = 4;
    public const int CAP_KILL = 5;
    public const int CAP_SETGID = 6;
    public const int CAP_SETUID = 7;
    public const int CAP_SETPCAP = 8;
    public const int CAP_LINUX_IMMUTABLE = 9;
    public const int CAP_NET_BIND_SERVICE = 10;
    public const int CAP_NET_ADMIN = 12;
    public const int CAP_SYS_CHROOT = 18;
    public const int CAP_SYS_ADMIN = 21;
    public const int CAP_SYS_NICE = 23;
    public const int CAP_SYS_RESOURCE = 24;
    public const int CAP_MKNOD = 27;
    public const int CAP_SETFCAP = 31;
    public const int CAP_LAST_CAP = 40;
}

/// <summary>struct __user_cap_header_struct.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct cap_user_header
{
    public uint version;
    public int pid;
}

/// <summary>struct __user_cap_data_struct; two of them make 64 capabilities.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct cap_user_data
{
    public uint effective;
    public uint permitted;
    public uint inheritable;
}
