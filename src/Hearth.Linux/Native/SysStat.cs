using System.Runtime.InteropServices;

namespace Hearth.Linux.Native;

/// <summary>sys/stat.h.</summary>
public static unsafe partial class SysStat
{
    public const uint S_IFMT = 0xf000;
    public const uint S_IFBLK = 0x6000;
    public const uint S_IFDIR = 0x4000;
    public const uint S_IFCHR = 0x2000;
    public const uint S_IFIFO = 0x1000;
    public const uint S_IFREG = 0x8000;
    public const uint S_IFSOCK = 0xc000;

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int fstat(int fd, stat_t* buf);

    [LibraryImport(Libc.Name, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int mkdirat(int dirfd, string path, uint mode);

    [LibraryImport(Libc.Name, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int mknodat(int dirfd, string path, uint mode, ulong dev);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int fchmod(int fd, uint mode);

    [LibraryImport(Libc.Name, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int chmod(string path, uint mode);
}

/// <summary>struct stat on x86-64 (144 bytes).</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct stat_t
{
    public ulong st_dev;
    public ulong st_ino;
    public ulong st_nlink;
    public uint st_mode;
    public uint st_uid;
    public uint st_gid;
    public uint pad0;
    public ulong st_rdev;
    public long st_size;
    public long st_blksize;
    public long st_blocks;
    public fixed long st_times[6];
    public fixed long reserved[3];
}
