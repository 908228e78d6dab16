using System.Collections.Frozen;
using Hearth.Oci.Runtime;

namespace Hearth.Runtime.Specs;

/// <summary>
/// The profile RuntimeDefault: what programs use is allowed, the rest is EPERM. What reaches past the container (mounts, modules,
/// clocks, keys, other processes' memory, new namespaces) is missing, unless a capability that is for it was given.
/// Source: syscalls(2), each call's page, capabilities(7).
/// </summary>
internal static class DefaultSeccomp
{
    private const string Allow = "SCMP_ACT_ALLOW";
    private const uint EPERM = 1;
    private const uint ENOSYS = 38;

    // CLONE_NEWNS, CGROUP, UTS, IPC, USER, PID, NET.
    private const ulong NamespaceFlags = 0x7e020000;
    private const ulong AF_VSOCK = 40;

    private static readonly string[] s_always =
    [
        // Files.
        "access", "chdir", "chmod", "chown", "chown32", "close", "close_range", "copy_file_range", "creat", "dup", "dup2", "dup3",
        "faccessat", "faccessat2", "fadvise64", "fadvise64_64", "fallocate", "fchdir", "fchmod", "fchmodat", "fchmodat2", "fchown",
        "fchown32", "fchownat", "fcntl", "fcntl64", "fdatasync", "fgetxattr", "flistxattr", "flock", "fremovexattr", "fsetxattr",
        "fstat", "fstat64", "fstatat64", "fstatfs", "fstatfs64", "fsync", "ftruncate", "ftruncate64", "futimesat", "getcwd", "getdents",
        "getdents64", "getxattr", "getxattrat", "inotify_add_watch", "inotify_init", "inotify_init1", "inotify_rm_watch", "ioctl",
        "lchown", "lchown32", "lgetxattr", "link", "linkat", "listxattr", "listxattrat", "llistxattr", "_llseek", "lremovexattr",
        "lseek", "lsetxattr", "lstat", "lstat64", "mkdir", "mkdirat", "mknod", "mknodat", "name_to_handle_at", "newfstatat", "open",
        "openat", "openat2", "pread64", "preadv", "preadv2", "pwrite64", "pwritev", "pwritev2", "read", "readahead", "readlink",
        "readlinkat", "readv", "removexattr", "removexattrat", "rename", "renameat", "renameat2", "rmdir", "sendfile", "sendfile64",
        "setxattr", "setxattrat", "splice", "stat", "stat64", "statfs", "statfs64", "statx", "symlink", "symlinkat", "sync",
        "sync_file_range", "syncfs", "tee", "truncate", "truncate64", "umask", "unlink", "unlinkat", "utime", "utimensat",
        "utimensat_time64", "utimes", "vmsplice", "write", "writev",

        // Waiting for many things, and being told.
        "epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_pwait", "epoll_pwait2", "epoll_wait", "epoll_wait_old",
        "eventfd", "eventfd2", "fanotify_mark", "io_cancel", "io_destroy", "io_getevents", "io_pgetevents", "io_setup", "io_submit",
        "_newselect", "pipe", "pipe2", "poll", "ppoll", "ppoll_time64", "pselect6", "pselect6_time64", "select", "signalfd", "signalfd4",
        "timerfd_create", "timerfd_gettime", "timerfd_gettime64", "timerfd_settime", "timerfd_settime64",

        // Memory.
        "brk", "get_mempolicy", "madvise", "map_shadow_stack", "membarrier", "memfd_create", "memfd_secret", "mincore", "mlock", "mlock2",
        "mlockall", "mmap", "mmap2", "mprotect", "mremap", "mseal", "msync", "munlock", "munlockall", "munmap", "pkey_alloc", "pkey_free",
        "pkey_mprotect", "process_mrelease", "remap_file_pages", "cachestat",

        // Processes and threads, and who they are.
        "alarm", "arch_prctl", "capget", "capset", "execve", "execveat", "exit", "exit_group", "fork", "futex", "futex_requeue",
        "futex_time64", "futex_wait", "futex_waitv", "futex_wake", "getcpu", "getegid", "getegid32", "geteuid", "geteuid32", "getgid",
        "getgid32", "getgroups", "getgroups32", "getitimer", "getpgid", "getpgrp", "getpid", "getppid", "getpriority", "getresgid",
        "getresgid32", "getresuid", "getresuid32", "getrlimit", "get_robust_list", "getrusage", "getsid", "get_thread_area", "gettid",
        "getuid", "getuid32", "ioprio_get", "ioprio_set", "kill", "landlock_add_rule", "landlock_create_ruleset",
        "landlock_restrict_self", "lsm_get_self_attr", "lsm_list_modules", "lsm_set_self_attr", "modify_ldt", "nice", "pause",
        "pidfd_open", "pidfd_send_signal", "prctl", "prlimit64", "restart_syscall", "rseq", "sched_getaffinity", "sched_getattr",
        "sched_getparam", "sched_get_priority_max", "sched_get_priority_min", "sched_getscheduler", "sched_rr_get_interval",
        "sched_rr_get_interval_time64", "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler", "sched_yield",
        "seccomp", "setfsgid", "setfsgid32", "setfsuid", "setfsuid32", "setgid", "setgid32", "setgroups", "setgroups32", "setitimer",
        "setpgid", "setpriority", "setregid", "setregid32", "setresgid", "setresgid32", "setresuid", "setresuid32", "setreuid",
        "setreuid32", "setrlimit", "set_robust_list", "setsid", "set_thread_area", "set_tid_address", "setuid", "setuid32",
        "sysinfo", "tgkill", "times", "tkill", "ugetrlimit", "uname", "vfork", "wait4", "waitid", "waitpid",

        // Signals.
        "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait",
        "rt_sigtimedwait_time64", "rt_tgsigqueueinfo", "sigaltstack", "sigprocmask", "sigreturn",

        // Time, as far as it is read.
        "adjtimex", "clock_adjtime", "clock_adjtime64", "clock_getres", "clock_getres_time64", "clock_gettime", "clock_gettime64",
        "clock_nanosleep", "clock_nanosleep_time64", "gettimeofday", "nanosleep", "time", "timer_create", "timer_delete",
        "timer_getoverrun", "timer_gettime", "timer_gettime64", "timer_settime", "timer_settime64",

        // Sockets, and what System V and POSIX share.
        "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "ipc", "listen", "mq_getsetattr", "mq_notify",
        "mq_open", "mq_timedreceive", "mq_timedreceive_time64", "mq_timedsend", "mq_timedsend_time64", "mq_unlink", "msgctl", "msgget",
        "msgrcv", "msgsnd", "recv", "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "semctl", "semget", "semop", "semtimedop",
        "semtimedop_time64", "send", "sendmmsg", "sendmsg", "sendto", "setsockopt", "shmat", "shmctl", "shmdt", "shmget", "shutdown",
        "socketcall", "socketpair",

        // Randomness.
        "getrandom",

        // A debugger of one's own processes: the kernel asks for the right each time.
        "kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace",
    ];

    // What comes with a capability.
    private static readonly FrozenDictionary<string, string[]> s_byCapability = new Dictionary<string, string[]>
    {
        ["CAP_DAC_READ_SEARCH"] = ["open_by_handle_at"],
        ["CAP_SYS_ADMIN"] =
        [
            "bpf", "clone", "clone3", "fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick", "listmount", "lookup_dcookie", "mount",
            "mount_setattr", "move_mount", "open_tree", "perf_event_open", "quotactl", "quotactl_fd", "setdomainname", "sethostname",
            "setns", "statmount", "syslog", "umount", "umount2", "unshare",
        ],
        ["CAP_SYS_BOOT"] = ["reboot"],
        ["CAP_SYS_CHROOT"] = ["chroot"],
        ["CAP_SYS_MODULE"] = ["delete_module", "finit_module", "init_module"],
        ["CAP_SYS_NICE"] = ["mbind", "migrate_pages", "move_pages", "set_mempolicy", "set_mempolicy_home_node"],
        ["CAP_SYS_PACCT"] = ["acct"],
        ["CAP_SYS_RAWIO"] = ["ioperm", "iopl"],
        ["CAP_SYS_TIME"] = ["clock_settime", "clock_settime64", "settimeofday", "stime"],
        ["CAP_SYS_TTY_CONFIG"] = ["vhangup"],
        ["CAP_SYSLOG"] = ["syslog"],
        ["CAP_BPF"] = ["bpf"],
        ["CAP_PERFMON"] = ["perf_event_open"],
    }.ToFrozenDictionary();

    // personality(2): Linux as it is, Linux on 32 bits, both without randomised addresses, and the question.
    private static readonly ulong[] s_personalities = [0x0, 0x0008, 0x20000, 0x20008, 0xffffffff];

    private static readonly SyscallSpec s_base = new() { Names = s_always, Action = Allow };

    private static readonly SyscallSpec[] s_conditional =
    [
        .. s_personalities.Select(static value => With("personality", 0, value, "SCMP_CMP_EQ")),
        // A guest's own vsock leads to its host.
        With("socket", 0, AF_VSOCK, "SCMP_CMP_NE"),
    ];

    // Without CAP_SYS_ADMIN no namespace is made; clone3 has its flags in memory, where no filter sees them: C libraries then use clone.
    private static readonly SyscallSpec[] s_withoutAdmin =
    [
        new SyscallSpec
        {
            Names = ["clone"],
            Action = Allow,
            Args = [new SyscallArgumentSpec { Index = 0, Value = NamespaceFlags, ValueTwo = 0, Op = "SCMP_CMP_MASKED_EQ" }],
        },
        new SyscallSpec { Names = ["clone3"], Action = "SCMP_ACT_ERRNO", ErrnoRet = ENOSYS },
    ];

    /// <param name="capabilities">Of the container's bounding set.</param>
    public static SeccompSpec Of(IReadOnlyList<string> capabilities) => new()
    {
        DefaultAction = "SCMP_ACT_ERRNO",
        DefaultErrnoRet = EPERM,
        Architectures = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        Syscalls =
        [
            s_base,
            .. s_conditional,
            .. capabilities.Contains("CAP_SYS_ADMIN") ? [] : s_withoutAdmin,
            .. capabilities.Where(s_byCapability.ContainsKey).Select(static capability => new SyscallSpec { Names = s_byCapability[capability], Action = Allow }),
        ],
    };

    private static SyscallSpec With(string name, uint index, ulong value, string op) => new()
    {
        Names = [name],
        Action = Allow,
        Args = [new SyscallArgumentSpec { Index = index, Value = value, Op = op }],
    };
}
