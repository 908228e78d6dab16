using System.Runtime.InteropServices;

namespace Hearth.Linux.Native;

/// <summary>linux/capability.h.</summary>
public static class LinuxCapability
{
    public const uint _LINUX_CAPABILITY_VERSION_3 = 0x20080522;
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
