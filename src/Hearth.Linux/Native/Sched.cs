using System.Runtime.InteropServices;

namespace Hearth.Linux.Native;

/// <summary>sched.h: namespaces.</summary>
public static partial class Sched
{
    public const int CLONE_FS = 0x200;
    public const int CLONE_NEWNS = 0x20000;
    public const int CLONE_NEWCGROUP = 0x2000000;
    public const int CLONE_NEWUTS = 0x4000000;
    public const int CLONE_NEWIPC = 0x8000000;
    public const int CLONE_NEWPID = 0x20000000;
    public const int CLONE_NEWNET = 0x40000000;

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int unshare(int flags);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int setns(int fd, int nstype);
}
