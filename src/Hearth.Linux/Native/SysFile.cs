using System.Runtime.InteropServices;

namespace Hearth.Linux.Native;

/// <summary>sys/file.h.</summary>
public static partial class SysFile
{
    public const int LOCK_EX = 2;
    public const int LOCK_NB = 4;

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int flock(int fd, int operation);
}
