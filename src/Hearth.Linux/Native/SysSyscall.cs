using System.Runtime.InteropServices;

namespace Hearth.Linux.Native;

/// <summary>sys/syscall.h: calls that the C library has no function for, or one that does more than the kernel's.</summary>
public static unsafe partial class SysSyscall
{
    public const int SYS_setgroups = 116;
    public const int SYS_setresuid = 117;
    public const int SYS_setresgid = 119;
    public const int SYS_capget = 125;
    public const int SYS_capset = 126;
    public const int SYS_pivot_root = 155;
    public const int SYS_seccomp = 317;
    public const int SYS_bpf = 321;
    public const int SYS_pidfd_send_signal = 424;
    public const int SYS_open_tree = 428;
    public const int SYS_move_mount = 429;
    public const int SYS_pidfd_open = 434;
    public const int SYS_close_range = 436;
    public const int SYS_openat2 = 437;
    public const int SYS_mount_setattr = 442;

    // Variadic in C; on x86-64 integer arguments travel as in any other call.
    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial long syscall(long number, nint a, nint b, nint c, nint d, nint e);
}
