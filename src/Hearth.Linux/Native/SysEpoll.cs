using System.Runtime.InteropServices;

namespace Hearth.Linux.Native;

/// <summary>sys/epoll.h, sys/eventfd.h and sys/timerfd.h.</summary>
public static unsafe partial class SysEpoll
{
    public const int EPOLL_CLOEXEC = 0x80000;
    public const int EPOLL_CTL_ADD = 1;
    public const int EPOLL_CTL_DEL = 2;
    public const int EPOLL_CTL_MOD = 3;
    public const int EFD_CLOEXEC = 0x80000;
    public const int EFD_NONBLOCK = 0x800;
    public const int TFD_CLOEXEC = 0x80000;
    public const int TFD_NONBLOCK = 0x800;
    public const int CLOCK_MONOTONIC = 1;

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int epoll_create1(int flags);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int epoll_ctl(int epfd, int op, int fd, epoll_event* ev);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int epoll_wait(int epfd, epoll_event* events, int maxevents, int timeout);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int eventfd(uint initval, int flags);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int timerfd_create(int clockid, int flags);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int timerfd_settime(int fd, int flags, itimerspec* newValue, itimerspec* oldValue);
}

/// <summary>struct epoll_event: packed on x86-64.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct epoll_event
{
    public uint events;
    public ulong data;
}

/// <summary>struct itimerspec with its two struct timespec laid out flat.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct itimerspec
{
    public long it_interval_sec;
    public long it_interval_nsec;
    public long it_value_sec;
    public long it_value_nsec;
}
