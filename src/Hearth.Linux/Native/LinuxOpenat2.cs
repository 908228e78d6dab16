using System.Runtime.InteropServices;

namespace Hearth.Linux.Native;

/// <summary>linux/openat2.h.</summary>
public static class LinuxOpenat2
{
    public const ulong RESOLVE_NO_MAGICLINKS = 2;
    public const ulong RESOLVE_IN_ROOT = 16;
}

/// <summary>struct open_how.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct open_how
{
    public ulong flags;
    public ulong mode;
    public ulong resolve;
}
