using System.Globalization;
using Hearth.Configuration;
using Hearth.Linux;

namespace Hearth.Programs.Hearth.Doctor;

/// <summary>What jails of pods' monitors need of the host: cgroups, users that nobody else is, what an unprivileged process may use.</summary>
internal sealed class JailChecks(HostView host, MicrovmConfig config)
{
    private readonly string[] _mounts = host.TryRead("/proc/mounts")?.Split('\n') ?? [];

    public IEnumerable<Finding> Run() => [Cgroups(), Moves(), Users(), Filters(), Userfaultfd()];

    private Finding Cgroups()
    {
        const string Name = "cgroups";
        if (config.JailCgroup.Length == 0)
        {
            return Finding.Warn(Name, "jail_cgroup of [microvm] is empty: machines have no limits of their own on this host", "Set jail_cgroup = \"hearth\".");
        }

        (int version, IReadOnlyDictionary<string, string> found) = CgroupMounts.FindPodControllers(_mounts, path => host.TryRead(path) ?? "");
        string[] missing = [.. CgroupMounts.PodControllers.Except(found.Keys)];
        return missing.Length == 0
            ? Finding.Ok(Name, $"v{version} with {string.Join(", ", CgroupMounts.PodControllers)}")
            : Finding.Warn(
                Name,
                $"{(found.Count == 0 ? "none" : $"v{version} without {string.Join(", ", missing)}")}: a machine's own limits of {string.Join(", ", missing)} are not kept",
                "Boot with systemd.unified_cgroup_hierarchy=1 and without cgroup_disable=; inside a container, give it a cgroup namespace of its own, writable.");
    }

    // Linux 6.0: without it, putting a process into a cgroup waits for all CPUs, some milliseconds each time.
    private Finding Moves()
    {
        const string Name = "cgroup-moves";
        string? options = _mounts.Select(static line => line.Split(' ')).FirstOrDefault(static fields => fields.Length > 3 && fields[2] == "cgroup2")?[3];
        return options is null || options.Split(',').Contains("favordynmods")
            ? Finding.Ok(Name, options is null ? "no cgroup v2" : "fast (favordynmods)")
            : new Finding(Name, Verdict.Ok, "each start waits some milliseconds for its cgroup", $"To start pods faster: mount -o remount,favordynmods {CgroupMounts.FindUnified(_mounts)} (Linux 6.0)");
    }

    private Finding Users()
    {
        const string Name = "jail-users";
        if (!config.Jail)
        {
            return Finding.Warn(Name, "jail of [microvm] is false: monitors run as root", "Set jail = true.");
        }

        long end = (long)config.JailUidBase + config.JailUidCount;
        foreach (string[] fields in Lines("/etc/passwd").Concat(Lines("/etc/group")).Where(static fields => fields.Length > 2))
        {
            if (Number(fields[2]) is { } id && id >= config.JailUidBase && id < end)
            {
                return Finding.Warn(Name, $"{fields[0]} has the number {id}, which a pod's monitor may run as", "Set jail_uid_base and jail_uid_count of [microvm] to numbers that nobody has.");
            }
        }

        foreach (string[] fields in Lines("/etc/subuid").Concat(Lines("/etc/subgid")).Where(static fields => fields.Length > 2))
        {
            if (Number(fields[1]) is { } from && Number(fields[2]) is { } count && from < end && from + count > config.JailUidBase)
            {
                return Finding.Warn(
                    Name,
                    $"containers of {fields[0]} may run as {from} to {from + count - 1} (/etc/subuid), and pods' monitors as {config.JailUidBase} to {end - 1}",
                    "Set jail_uid_base of [microvm] to numbers that nobody has.");
            }
        }

        return Finding.Ok(Name, $"{config.JailUidBase} to {end - 1}, which nobody else has");
    }

    private Finding Filters()
    {
        const string Name = "seccomp";
        string[]? actions = host.TryRead("/proc/sys/kernel/seccomp/actions_avail")?.Split(' ');
        return actions is not null && actions.Contains("trap") && actions.Contains("errno")
            ? Finding.Ok(Name, "filters with trap and errno")
            : Finding.Fail(Name, "this kernel has no seccomp filters, and monitors do not start without", "Take a kernel with CONFIG_SECCOMP_FILTER.");
    }

    private Finding Userfaultfd()
    {
        const string Name = "userfaultfd";
        const string Setting = "/proc/sys/vm/unprivileged_userfaultfd";
        return host.IsThere("/dev/userfaultfd") ? Finding.Ok(Name, "/dev/userfaultfd, which jails get")
            : host.TryRead(Setting) is not { } allowed ? Finding.Warn(Name, "this kernel has no userfaultfd: snapshots are read whole before they run", "Take a kernel with CONFIG_USERFAULTFD.")
            : allowed == "1" ? Finding.Ok(Name, "for every process")
            : new Finding(Name, Verdict.Ok, "for root only: in a jail, snapshots are read whole before they run", "To have it in jails: sysctl -w vm.unprivileged_userfaultfd=1, or Linux 6.1 with /dev/userfaultfd");
    }

    private IEnumerable<string[]> Lines(string path) => (host.TryRead(path) ?? "").Split('\n').Select(static line => line.Split(':'));

    private static long? Number(string text) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long number) ? number : null;
}
