using Hearth.Kvm.Native;
using Hearth.Linux.Native;
using Hearth.Linux.Seccomp;
using Hearth.Vmm.Devices;

namespace Hearth.Vmm.Sandbox;

/// <summary>
/// Which system calls each kind of thread may make once the guest is about to run. docs/seccomp.md is made of this.
/// </summary>
public static class SandboxPolicy
{
    private static readonly SyscallRule[] s_loop =
    [
        new("epoll_wait", "waits for events"),
        new("epoll_pwait", "waits for events (newer C libraries)"),
        new("epoll_ctl", "what is waited for"),
        new("close", "connections that ended"),
        new("timerfd_create", "a first timer"),
        new("timerfd_settime", "timers"),
    ];

    private static readonly SyscallRule[] s_api =
    [
        .. s_loop,
        new("accept4", "API: a client"),
        new("recvfrom", "API: requests"),
        new("sendto", "API: answers"),
        new("unlink", "the API's socket at the end"),
        new("getcwd", "where the API's socket is, from a relative path"),
        new("getrandom", "MMDS: keys of tokens"),
        new("tgkill", "kicks vCPUs out of the guest", SyscallRule.Is(0, SyscallRule.OwnProcess), SyscallRule.Is(2, Linux.ThreadKick.Signal)),
        .. SyscallRule.OneOf("ioctl", "the machine's end: interrupts and doorbells are unregistered", 1, KvmIoctls.KVM_IRQFD, KvmIoctls.KVM_IOEVENTFD),
        .. SyscallRule.OneOf("ioctl", "the terminal's mode, and whether this process may change it", 1, Termbits.TCGETS, Termbits.TIOCGPGRP),
        new("getpgrp", "whether this process may change its terminal's mode"),
    ];

    private static readonly SyscallRule[] s_devices =
    [
        .. s_loop,
        .. SyscallRule.OneOf("ioctl", "a driver starts or resets a device: its doorbells and interrupt", 1, KvmIoctls.KVM_IOEVENTFD, KvmIoctls.KVM_IRQFD),
        new("eventfd2", "a device's own doorbells"),
        new("getrandom", "MMDS: sequence numbers, keys of tokens"),
    ];

    private static readonly SyscallRule[] s_vcpu =
    [
        .. SyscallRule.OneOf("ioctl", "runs the guest; tells it that it was paused", 1, KvmIoctls.KVM_RUN, KvmIoctls.KVM_KVMCLOCK_CTRL),
        new("timerfd_settime", "serial console: when its buffer is sent"),
    ];

    // A driver's write to the status register starts or resets its device, on the vCPU's own thread.
    private static readonly SyscallRule[] s_activation =
    [
        .. SyscallRule.OneOf("ioctl", "a driver starts or resets a device: its doorbells and interrupt", 1, KvmIoctls.KVM_IOEVENTFD, KvmIoctls.KVM_IRQFD),
        new("epoll_ctl", "a driver starts or resets a device: what the loop waits for"),
        new("eventfd2", "a driver starts a device: doorbells"),
        new("timerfd_create", "a driver starts a device: timers"),
        new("close", "a driver resets a device: connections"),
        new("getrandom", "a driver starts a device: MMDS's keys"),
    ];

    // Each thread narrows itself after the process's filter is on, and only then.
    private static readonly SyscallRule[] s_narrowing = [new("seccomp", "each thread narrows itself, and then cannot any more")];

    // Started before the process's filter is on, a thread may run for the first time only after it, on a busy host: what the C
    // library and the runtime do then, before the thread's own code.
    private static readonly SyscallRule[] s_newborn =
    [
        new("prctl", "a thread's first steps: its name", SyscallRule.Is(0, SysPrctl.PR_SET_NAME)),
        new("rseq", "a thread's first steps"),
        new("set_robust_list", "a thread's first steps"),
        new("sched_getaffinity", "a thread's first steps: its stack's bounds"),
    ];

    /// <summary>The kinds with filters, as files and messages call them.</summary>
    public static IReadOnlyList<ThreadKind> Kinds { get; } = Enum.GetValues<ThreadKind>();

    public static string NameOf(ThreadKind kind) => kind switch
    {
        ThreadKind.Process => "process",
        ThreadKind.Api => "api",
        ThreadKind.Devices => "devices",
        ThreadKind.Vcpu => "vcpu",
        _ => "runtime",
    };

    /// <summary>The rules of a kind: its own, those of all devices, and the runtime's.</summary>
    public static IReadOnlyList<SyscallRule> RulesOf(ThreadKind kind) => kind switch
    {
        ThreadKind.Api => [.. s_api, .. DeviceCatalog.Syscalls.SelectMany(static device => device.Api), .. RuntimeSyscalls.Rules],
        ThreadKind.Devices => [.. s_devices, .. DeviceCatalog.Syscalls.SelectMany(static device => device.Loop), .. RuntimeSyscalls.Rules],
        ThreadKind.Vcpu => [.. s_vcpu, .. s_activation, .. DeviceCatalog.Syscalls.SelectMany(static device => device.Loop), .. RuntimeSyscalls.Rules],
        ThreadKind.Runtime => RuntimeSyscalls.Rules,
        _ => [.. s_narrowing, .. s_newborn, .. RulesOf(ThreadKind.Api), .. RulesOf(ThreadKind.Devices), .. RulesOf(ThreadKind.Vcpu)],
    };

    public static FilterSet Compile() =>
        new(Kinds.ToDictionary(NameOf, static kind => FilterSet.Compile(RulesOf(kind))));
}
