using Hearth.Oci.Runtime;
using Hearth.Runtime.Pods;

namespace Hearth.Runtime.Specs;

/// <summary>Which capabilities a container's processes have. Source: capabilities(7).</summary>
internal static class Capabilities
{
    /// <summary>All that Linux has, in the order of their numbers.</summary>
    public static readonly string[] All =
    [
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID",
        "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW",
        "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT",
        "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD",
        "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG",
        "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
    ];

    // What the managers of containers agree on.
    private static readonly string[] s_default =
    [
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP",
        "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SYS_CHROOT", "CAP_MKNOD", "CAP_AUDIT_WRITE", "CAP_SETFCAP",
    ];

    /// <summary>ALL first, then what is added by name, then what is dropped by name.</summary>
    /// <exception cref="PodException">InvalidArgument: there is no such capability.</exception>
    public static CapabilitiesSpec Of(ContainerSecurity security)
    {
        if (security.Privileged)
        {
            // Nothing inheritable: a program that gives itself less must not get it back at the next exec.
            return new CapabilitiesSpec { Bounding = All, Effective = All, Permitted = All };
        }

        var set = new HashSet<string>(security.AddCapabilities.Any(IsAll) ? All : security.DropCapabilities.Any(IsAll) ? [] : s_default);
        set.UnionWith(Named(security.AddCapabilities));
        set.ExceptWith(Named(security.DropCapabilities));
        HashSet<string> ambient = [.. Named(security.AddAmbientCapabilities)];
        set.UnionWith(ambient);
        string[] given = [.. All.Where(set.Contains)];
        string[] kept = [.. All.Where(ambient.Contains)];
        return new CapabilitiesSpec { Bounding = given, Effective = given, Permitted = given, Inheritable = kept, Ambient = kept };
    }

    private static IEnumerable<string> Named(IReadOnlyList<string> names) => names.Where(static name => !IsAll(name)).Select(Normal);

    private static bool IsAll(string name) => name.Equals("ALL", StringComparison.OrdinalIgnoreCase) || name.Equals("CAP_ALL", StringComparison.OrdinalIgnoreCase);

    private static string Normal(string name)
    {
        string upper = name.ToUpperInvariant();
        string full = upper.StartsWith("CAP_", StringComparison.Ordinal) ? upper : "CAP_" + upper;
        return All.Contains(full) ? full : throw new PodException(PodFault.InvalidArgument, $"There is no capability \"{name}\".");
    }
}
