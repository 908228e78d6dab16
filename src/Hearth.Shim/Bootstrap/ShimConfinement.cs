using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Linux.Seccomp;

namespace Hearth.Shim.Bootstrap;

/// <summary>
/// What a shim gives up before it is one, for itself and for all that it starts. It stays root: it mounts volumes at any time,
/// from anywhere on the host, which Landlock would forbid, and a root directory of its own would hide. Thread: the one that
/// starts it.
/// </summary>
internal static class ShimConfinement
{
    // What a shim, the jailer, virtiofsd and hooks have to be able to: mounts, namespaces, cgroups and devices; files of any
    // owner; TAPs; other users' processes. Not: modules, ports of hardware, the clock, raw sockets, tracing, the audit log, BPF.
    private static readonly int[] s_capabilities =
    [
        LinuxCapability.CAP_CHOWN, LinuxCapability.CAP_DAC_OVERRIDE, LinuxCapability.CAP_DAC_READ_SEARCH, LinuxCapability.CAP_FOWNER,
        LinuxCapability.CAP_FSETID, LinuxCapability.CAP_KILL, LinuxCapability.CAP_SETGID, LinuxCapability.CAP_SETUID,
        LinuxCapability.CAP_SETPCAP, LinuxCapability.CAP_NET_ADMIN, LinuxCapability.CAP_SYS_CHROOT, LinuxCapability.CAP_SYS_ADMIN,
        LinuxCapability.CAP_SYS_RESOURCE, LinuxCapability.CAP_MKNOD, LinuxCapability.CAP_SETFCAP,
    ];

    // Refused, as without the capability for it: what CAP_SYS_ADMIN would let it, and what looks into other processes.
    private static readonly string[] s_refused =
    [
        "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "bpf", "perf_event_open", "ptrace",
        "process_vm_readv", "process_vm_writev", "kcmp", "reboot", "swapon", "swapoff", "acct", "quotactl", "settimeofday",
        "clock_settime", "adjtimex", "clock_adjtime", "iopl", "ioperm", "add_key", "request_key", "keyctl", "syslog",
        "io_uring_setup", "io_uring_enter", "io_uring_register",
    ];

    /// <summary>The capabilities that are kept, bit n for capability n.</summary>
    internal static ulong Capabilities { get; } = Credentials.Mask(s_capabilities);

    /// <summary>Gives up the rest: what the calling thread starts from now on never has it.</summary>
    public static void Apply()
    {
        Credentials.LimitBounding(Capabilities);
        Credentials.InstallFilter(FilterCompiler.Refuse(s_refused), 0);
    }
}
