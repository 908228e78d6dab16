using System.Runtime.InteropServices;

namespace Hearth.Linux.Native;

/// <summary>linux/mount.h: mounts as descriptors.</summary>
public static class LinuxMount
{
    public const int OPEN_TREE_CLONE = 1;
    public const int MOVE_MOUNT_F_EMPTY_PATH = 4;
    public const ulong MOUNT_ATTR_RDONLY = 1;
}

/// <summary>struct mount_attr.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct mount_attr
{
    public ulong attr_set;
    public ulong attr_clr;
    public ulong propagation;
    public ulong userns_fd;
}
