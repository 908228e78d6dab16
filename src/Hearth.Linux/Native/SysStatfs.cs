using System.Runtime.InteropServices;

namespace Hearth.Linux.Native;

/// <summary>sys/statfs.h, with the magic numbers of linux/magic.h.</summary>
public static unsafe partial class SysStatfs
{
    public const int DEVPTS_SUPER_MAGIC = 0x1cd1;
    public const int PROC_SUPER_MAGIC = 0x9fa0;

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int fstatfs(int fd, statfs_t* buf);
}

/// <summary>struct statfs on x86-64 (120 bytes).</summary>
[StructLayout(LayoutKind.Sequential, Size = 120)]
public struct statfs_t
{
    public long f_type;
    public long f_bsize;
    public long f_blocks;
    public long f_bfree;
    public long f_bavail;
    public long f_files;
    public long f_ffree;
    public long f_fsid;
    public long f_namelen;
    public long f_frsize;

    /// <summary><c>ST_*</c>, of which the lowest are as <c>MS_*</c>.</summary>
    public long f_flags;
}
