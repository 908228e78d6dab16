using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Linux.Netlink;

namespace Hearth.Programs.Agent.Guest;

/// <summary>What process 1 of a guest mounts before anything else.</summary>
internal static class GuestMounts
{
    private const uint Plain = SysMount.MS_NOSUID | SysMount.MS_NODEV | SysMount.MS_NOEXEC;

    private static readonly (string Target, string Type, uint Flags, string? Options)[] s_mounts =
    [
        ("/proc", "proc", Plain, null),
        ("/sys", "sysfs", Plain, null),
        ("/dev", "devtmpfs", SysMount.MS_NOSUID, "mode=0755"),
        ("/dev/pts", "devpts", SysMount.MS_NOSUID | SysMount.MS_NOEXEC, "mode=0620,ptmxmode=0666,gid=5"),
        ("/dev/shm", "tmpfs", SysMount.MS_NOSUID | SysMount.MS_NODEV, "mode=1777"),
        ("/run", "tmpfs", SysMount.MS_NOSUID | SysMount.MS_NODEV, "mode=0755"),
        ("/tmp", "tmpfs", SysMount.MS_NOSUID | SysMount.MS_NODEV, "mode=1777"),
        ("/sys/fs/cgroup", "cgroup2", Plain, null),
    ];

    /// <summary>Mounts them all and brings lo up. What is mounted already (devtmpfs, by the kernel) stays.</summary>
    public static void SetUp()
    {
        Directory.CreateDirectory("/.root");
        Machine.CoverRoot("/.root");
        foreach ((string target, string type, uint flags, string? options) in s_mounts)
        {
            Directory.CreateDirectory(target);
            if (Mounts.TryMount(type, target, type, flags, options) is not (Errno.None or Errno.EBUSY) and var errno)
            {
                AgentLog.Error($"{type} cannot be mounted at {target}: {LinuxException.Describe(errno)}.");
            }
        }

        using var routes = new RouteSocket();
        if (RouteSocket.IndexOf("lo") is not 0 and var lo)
        {
            routes.SetUp(lo);
        }
    }
}
