using System.Runtime.InteropServices;

namespace Hearth.Linux.Native;

/// <summary>sys/mount.h.</summary>
public static partial class SysMount
{
    public const uint MS_RDONLY = 1;
    public const uint MS_NOSUID = 2;
    public const uint MS_NODEV = 4;
    public const uint MS_NOEXEC = 8;
    public const uint MS_SYNCHRONOUS = 16;
    public const uint MS_REMOUNT = 32;
    public const uint MS_MANDLOCK = 64;
    public const uint MS_DIRSYNC = 128;
    public const uint MS_NOATIME = 1024;
    public const uint MS_NODIRATIME = 2048;
    public const uint MS_BIND = 4096;
    public const uint MS_MOVE = 8192;
    public const uint MS_REC = 16384;
    public const uint MS_SILENT = 32768;
    public const uint MS_UNBINDABLE = 1 << 17;
    public const uint MS_PRIVATE = 1 << 18;
    public const uint MS_SLAVE = 1 << 19;
    public const uint MS_SHARED = 1 << 20;
    public const uint MS_RELATIME = 1 << 21;
    public const uint MS_STRICTATIME = 1 << 24;
    public const int MNT_DETACH = 2;
    public const int UMOUNT_NOFOLLOW = 8;

    [LibraryImport(Libc.Name, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int mount(string? source, string target, string? filesystemtype, nuint mountflags, string? data);

    [LibraryImport(Libc.Name, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int umount2(string target, int flags);
}
