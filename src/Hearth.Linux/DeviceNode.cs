using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>A device node in a file system. Source: inode(7), makedev(3).</summary>
public readonly record struct DeviceNode(bool IsBlock, uint Major, uint Minor, uint Permissions, uint Owner, uint Group)
{
    private const uint PermissionBits = 0xfff;

    /// <summary>What a path is, its last link not followed and nothing opened for real; null if it is no device.</summary>
    public static unsafe DeviceNode? TryRead(string path)
    {
        try
        {
            using FileDescriptor node = FileDescriptor.Open(path, Fcntl.O_PATH | Fcntl.O_NOFOLLOW);
            stat_t status;
            // SAFETY: fstat fills one struct stat on this stack.
            FileDescriptor.Check(SysStat.fstat(node.Number, &status), "fstat()");
            ulong device = status.st_rdev;
            return (status.st_mode & SysStat.S_IFMT) is SysStat.S_IFCHR or SysStat.S_IFBLK
                ? new DeviceNode(
                    (status.st_mode & SysStat.S_IFMT) == SysStat.S_IFBLK,
                    (uint)(((device >> 8) & 0xfff) | ((device >> 32) & ~0xffful)),
                    (uint)((device & 0xff) | ((device >> 12) & ~0xffful)),
                    status.st_mode & PermissionBits,
                    status.st_uid,
                    status.st_gid)
                : null;
        }
        catch (LinuxException)
        {
            return null;
        }
    }
}
