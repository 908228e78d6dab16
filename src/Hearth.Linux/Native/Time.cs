using System.Runtime.InteropServices;

namespace Hearth.Linux.Native;

/// <summary>time.h.</summary>
public static unsafe partial class Time
{
    public const int CLOCK_REALTIME = 0;
    public const int CLOCK_MONOTONIC = 1;
    public const int CLOCK_PROCESS_CPUTIME_ID = 2;

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int clock_gettime(int clock, timespec* time);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int clock_settime(int clock, timespec* time);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial tm* localtime_r(long* time, tm* result);
}

/// <summary>struct timespec.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct timespec
{
    public long tv_sec;
    public long tv_nsec;
}

/// <summary>struct tm, with glibc's two extra members.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct tm
{
    public int tm_sec;
    public int tm_min;
    public int tm_hour;
    public int tm_mday;
    public int tm_mon;
    public int tm_year;
    public int tm_wday;
    public int tm_yday;
    public int tm_isdst;
    public long tm_gmtoff;
    public byte* tm_zone;
}
