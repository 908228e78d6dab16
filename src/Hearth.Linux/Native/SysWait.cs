using System.Runtime.InteropServices;

namespace Hearth.Linux.Native;

/// <summary>sys/wait.h.</summary>
public static unsafe partial class SysWait
{
    public const int P_ALL = 0;
    public const int P_PID = 1;
    public const int WEXITED = 4;
    public const int WNOWAIT = 0x1000000;
    public const int CLD_EXITED = 1;

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int waitid(int idtype, uint id, siginfo_t* infop, int options);
}

/// <summary>siginfo_t of signal.h, with the members of a SIGCHLD laid out flat (128 bytes).</summary>
[StructLayout(LayoutKind.Sequential, Size = 128)]
public struct siginfo_t
{
    public int si_signo;
    public int si_errno;
    public int si_code;
    public int pad0;
    public int si_pid;
    public uint si_uid;
    public int si_status;
}
