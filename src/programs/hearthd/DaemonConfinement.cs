using Hearth.Linux;
using Hearth.Linux.Native;

namespace Hearth.Programs.Daemon;

/// <summary>
/// What the daemon itself may: it reads what strangers send, and mounts, makes namespaces and signals pods' processes. What it starts
/// is root with everything again (shims take it away for themselves, plugins and pods of the host may need it). Source:
/// docs/decisions/0023.
/// </summary>
internal static class DaemonConfinement
{
    // Files of any owner; mounts, namespaces of networks and limits; ports below 1024, if it is told to serve there. Not: other processes'
    // memory, modules, ports of hardware, other users' numbers, raw sockets, the clock, the audit log.
    private static readonly int[] s_capabilities =
    [
        LinuxCapability.CAP_CHOWN, LinuxCapability.CAP_DAC_OVERRIDE, LinuxCapability.CAP_DAC_READ_SEARCH, LinuxCapability.CAP_FOWNER,
        LinuxCapability.CAP_FSETID, LinuxCapability.CAP_KILL, LinuxCapability.CAP_NET_BIND_SERVICE, LinuxCapability.CAP_NET_ADMIN,
        LinuxCapability.CAP_SYS_CHROOT, LinuxCapability.CAP_SYS_ADMIN, LinuxCapability.CAP_SYS_RESOURCE,
        // The kernel asks for it who moves a process with more capabilities than its own into a cgroup with a cpuset: conmon.
        LinuxCapability.CAP_SYS_NICE,
        // An overlay does to its upper folder what containers do to their roots, with the capabilities of who has mounted it.
        LinuxCapability.CAP_LINUX_IMMUTABLE, LinuxCapability.CAP_MKNOD, LinuxCapability.CAP_SETFCAP,
    ];

    /// <summary>Gives up the rest, on the threads that there are: before the program starts any.</summary>
    public static void Apply()
    {
        if (!Environment.IsPrivilegedProcess)
        {
            return;
        }

        ulong kept = Credentials.Mask(s_capabilities);
        Credentials.LimitCapabilities(kept);
        FinalizerThread.Run(() => Credentials.LimitCapabilities(kept));
    }
}
