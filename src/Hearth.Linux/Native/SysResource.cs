using System.Runtime.InteropServices;

namespace Hearth.Linux.Native;

/// <summary>sys/resource.h.</summary>
public static unsafe partial class SysResource
{
    public const int RLIMIT_FSIZE = 1;
    public const int RLIMIT_CORE = 4;
    public const int RLIMIT_NOFILE = 7;

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int getrlimit(int resource, rlimit* limit);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int setrlimit(int resource, rlimit* limit);
}

/// <summary>struct rlimit.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct rlimit
{
    public ulong rlim_cur;
    public ulong rlim_max;
}
