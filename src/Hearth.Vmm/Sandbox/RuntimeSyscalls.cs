using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Linux.Seccomp;

namespace Hearth.Vmm.Sandbox;

/// <summary>
/// What the .NET runtime and the C library need on any thread: memory of the heap, locks, stopping threads for the garbage
/// collector, the ends of threads and of the process. No thread is started after the guest, so clone is not among them.
/// </summary>
internal static class RuntimeSyscalls
{
    private const uint FutexModifiers = 0x180;
    private const uint FUTEX_WAIT = 0;
    private const uint FUTEX_WAKE = 1;
    private const uint FUTEX_WAIT_BITSET = 9;
    private const uint GcSignal = 34;

    public static IReadOnlyList<SyscallRule> Rules { get; } =
    [
        .. ((uint[])[FUTEX_WAIT, FUTEX_WAKE, FUTEX_WAIT_BITSET]).Select(static operation => new SyscallRule(
            "futex", "locks", new ArgumentCheck(1, ArgumentComparison.MaskedEqual, operation, uint.MaxValue & ~FutexModifiers, Is32Bit: true))),
        new("mmap", "the heap grows: fresh memory, never executable, never a file", SyscallRule.Has(2, SysMman.PROT_EXEC, 0), SyscallRule.Has(3, SysMman.MAP_ANONYMOUS, SysMman.MAP_ANONYMOUS)),
        new("mprotect", "the heap grows; never executable", SyscallRule.Has(2, SysMman.PROT_EXEC, 0)),
        new("munmap", "the heap shrinks; a thread's stack; the guest's memory at the end"),
        new("madvise", "the heap shrinks; a thread's stack"),
        new("brk", "the C library's heap"),
        new("sched_yield", "a lock that is about to be free"),
        new("nanosleep", "the garbage collector waits for threads to stop"),
        new("clock_nanosleep", "the garbage collector waits for threads to stop"),
        new("clock_gettime", "time, on hosts whose vDSO cannot tell it"),
        new("gettimeofday", "time, on hosts whose vDSO cannot tell it"),
        new("membarrier", "the garbage collector: memory order across threads"),
        new("getrusage", "CPU time of the process, for metrics"),
        new("sysinfo", "the garbage collector: memory that is free, where /proc cannot be read"),
        new("prlimit64", "the garbage collector: how much memory it may have; never sets a limit", SyscallRule.Is(0, 0), new ArgumentCheck(2, ArgumentComparison.Equal, 0)),
        .. SyscallRule.OneOf("tgkill", "the garbage collector stops threads", 2, GcSignal).Select(static rule => new SyscallRule(rule.Name, rule.Reason, [SyscallRule.Is(0, SyscallRule.OwnProcess), .. rule.Checks])),
        new("tgkill", "abort", SyscallRule.Is(0, SyscallRule.OwnProcess), SyscallRule.Is(2, Signals.SIGABRT)),
        new("getpid", "to signal a thread of this process"),
        new("gettid", "to signal a thread of this process"),
        new("rt_sigprocmask", "signals wait while a thread is signalled, or ends"),
        new("rt_sigreturn", "the end of a signal handler"),
        new("rt_sigaction", "abort"),
        new("sigaltstack", "a thread ends"),
        new("restart_syscall", "a wait goes on after a stop"),
        new("read", "eventfds and timers; bytes for the serial console; the runtime's random numbers (/dev/urandom, opened before)"),
        new("write", "wakes loops; log, serial console; why the process ends"),
        new("poll", "log, serial console: whether a write would block"),
        new("ioctl", "the terminal gets its mode back", SyscallRule.Is(1, Termbits.TCSETS)),
        new("exit", "a thread ends"),
        new("exit_group", "the process ends"),
        // Before each collection the runtime reads /proc/meminfo; refused, it asks sysinfo. In a jail there is no /proc anyway.
        new("openat", "the garbage collector looks for /proc/meminfo and can do without") { Refusal = Errno.EACCES },
        new("open", "the garbage collector looks for /proc/meminfo and can do without") { Refusal = Errno.EACCES },
    ];
}
