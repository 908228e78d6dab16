using Hearth.Linux.Native;

namespace Hearth.Shim.Machine;

/// <summary>Why a monitor has ended, in words. Thread: any.</summary>
internal static class MonitorEnd
{
    /// <summary>What is said of one that ended in order: its guest has powered off, or restarted after a panic.</summary>
    public const string ByItsGuest = "The guest has ended the machine.";

    // Firecracker's own statuses are 148 to 157, which no signal ends a process with.
    private const int SignalBase = 128;
    private const int BadSyscall = 148;

    // What hearth-vmm says before it ends with that status.
    private const string Forbidden = "which its seccomp filter forbids";

    /// <param name="status">The monitor's exit status, or 128 and the number of the signal that ended it.</param>
    /// <param name="output">What it has printed, and its guest's console: a guest can say what it likes.</param>
    /// <param name="cgroup">What bounds it; null for nothing.</param>
    public static string ReasonOf(int status, string output, JailCgroup? cgroup) => status switch
    {
        0 => ByItsGuest,
        BadSyscall => $"The monitor was ended by its seccomp filter: {ForbiddenLine(output)} This is an attack on the monitor, or a defect of it: docs/seccomp.md has what it may call.",
        SignalBase + Signals.SIGKILL when OfMemory(cgroup) is { Length: > 0 } memory => $"The monitor was killed by signal 9. {memory.TrimEnd()}",
        SignalBase + Signals.SIGKILL when cgroup is { CountsMemory: true } => "The monitor was killed by signal 9: by somebody on the host, not for memory.",
        SignalBase + Signals.SIGKILL => "The monitor was killed by signal 9: by somebody on the host, or for want of memory, which dmesg says.",
        > SignalBase and < BadSyscall => $"The monitor was killed by signal {status - SignalBase}.",
        _ => $"The monitor ended with status {status}.",
    };

    /// <summary>What the want of memory has to do with the end of one of the pod's processes; empty if nothing.</summary>
    public static string OfMemory(JailCgroup? cgroup) => cgroup?.ReadOutOfMemory() switch
    {
        { Killed: true, ReachedLimit: true } => $"It was the kernel, for the {cgroup.MemoryBytes >> 20} MiB of its cgroup {cgroup.LimitsFolder}: what serves the pod has taken more than the guest's memory and what is meant for itself. ",
        { Killed: true } => "It was the kernel, because the host has run out of memory. ",
        _ => "",
    };

    // The last one: the guest's console comes before the monitor's last words.
    private static string ForbiddenLine(string output) =>
        output.Split('\n').LastOrDefault(static line => line.Contains(Forbidden, StringComparison.Ordinal)) ?? "it did not say which call it was.";
}
