using Hearth.Ttrpc;

namespace Hearth.Programs.Agent.Setup;

/// <summary>Capabilities by name. Source: linux/capability.h, in the order of their numbers.</summary>
internal static class CapabilityNames
{
    private static readonly string[] s_names =
    [
        "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE",
        "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT",
        "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE",
        "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ",
        "PERFMON", "BPF", "CHECKPOINT_RESTORE",
    ];

    /// <summary>A bit for each name; null is none.</summary>
    public static ulong MaskOf(IEnumerable<string>? names)
    {
        ulong mask = 0;
        foreach (string name in names ?? [])
        {
            int number = Array.IndexOf(s_names, name.StartsWith("CAP_", StringComparison.Ordinal) ? name[4..] : name);
            mask |= number >= 0 ? 1ul << number : throw new TtrpcException(StatusCode.InvalidArgument, $"\"{name}\" is no capability.");
        }

        return mask;
    }
}
