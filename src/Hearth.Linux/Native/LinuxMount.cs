namespace Hearth.Linux.Native;

/// <summary>linux/mount.h: mounts as descriptors.</summary>
public static class LinuxMount
{
    public const int OPEN_TREE_CLONE = 1;
    public const int MOVE_MOUNT_F_EMPTY_PATH = 4;
}
