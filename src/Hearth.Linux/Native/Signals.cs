using System.Runtime.InteropServices;

namespace Hearth.Linux.Native;

/// <summary>signal.h.</summary>
public static unsafe partial class Signals
{
    public const int SIGHUP = 1;
    public const int SIGINT = 2;
    public const int SIGQUIT = 3;
    public const int SIGILL = 4;
    public const int SIGTRAP = 5;
    public const int SIGABRT = 6;
    public const int SIGBUS = 7;
    public const int SIGKILL = 9;
    public const int SIGSEGV = 11;
    public const int SIGPIPE = 13;
    public const int SIGALRM = 14;
    public const int SIGTERM = 15;
    public const int SIGXCPU = 24;
    public const int SIGXFSZ = 25;
    public const int SIGSYS = 31;
    public const int SA_SIGINFO = 4;
    public const int SA_RESTART = 0x10000000;
    public const uint SA_RESETHAND = 0x80000000;
    public const int SIG_BLOCK = 0;
    public const int SIG_UNBLOCK = 1;
    public const int SIG_SETMASK = 2;

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int sigaction(int signum, sigaction_t* act, sigaction_t* oldact);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int tgkill(int tgid, int tid, int sig);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int kill(int pid, int sig);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int sigprocmask(int how, sigset_t* set, sigset_t* oldset);
}

/// <summary>struct sigaction as glibc lays it out on x86-64 (152 bytes).</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct sigaction_t
{
    public nint sa_handler;
    public fixed ulong sa_mask[16];
    public int sa_flags;
    public nint sa_restorer;
}
