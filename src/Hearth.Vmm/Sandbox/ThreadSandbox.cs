using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Linux.Seccomp;

namespace Hearth.Vmm.Sandbox;

/// <summary>
/// Puts the process's threads under their seccomp filters: first all of them, started by whomever, under the one that no
/// thread may go beyond; then each under its own, which it installs itself and which lets no further one be installed.
/// Thread: each method on the thread that it is about.
/// </summary>
public sealed class ThreadSandbox
{
    private readonly FilterSet _filters;

    /// <param name="filters">One for each of <see cref="SandboxPolicy.Kinds"/>.</param>
    /// <exception cref="HearthException">One is missing.</exception>
    public ThreadSandbox(FilterSet filters)
    {
        _filters = filters;
        foreach (ThreadKind kind in SandboxPolicy.Kinds)
        {
            _ = filters.For(SandboxPolicy.NameOf(kind), (int)kind);
        }
    }

    /// <summary>All threads that there are. Every thread that the machine needs must have been started.</summary>
    /// <param name="log">Where a forbidden call is told besides standard error.</param>
    public void EnterProcess(FileDescriptor? log)
    {
        SyscallTrap.Install([.. SandboxPolicy.Kinds.Select(SandboxPolicy.NameOf)], log);
        Credentials.SetNoNewPrivileges();
        Install(ThreadKind.Process, LinuxSeccomp.SECCOMP_FILTER_FLAG_TSYNC);
        FinalizerThread.Run(() => Install(ThreadKind.Runtime, 0));
    }

    /// <summary>The calling thread, for good.</summary>
    public void Enter(ThreadKind kind) => Install(kind, 0);

    private void Install(ThreadKind kind, uint flags) => Credentials.InstallFilter(_filters.For(SandboxPolicy.NameOf(kind), (int)kind), flags);
}
