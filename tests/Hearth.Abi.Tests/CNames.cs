namespace Hearth.Abi.Tests;

/// <summary>Where C's names and headers are not what the mirrors' names say.</summary>
internal static class CNames
{
    private static readonly string[] s_libc =
    [
        "errno.h", "fcntl.h", "linux/memfd.h", "poll.h", "sched.h", "signal.h", "stdio.h", "stdlib.h", "sys/epoll.h", "sys/eventfd.h", "sys/file.h",
        "sys/ioctl.h", "sys/mman.h", "sys/prctl.h", "sys/random.h", "sys/resource.h", "sys/sendfile.h", "sys/signalfd.h", "sys/socket.h",
        "sys/stat.h", "sys/statfs.h", "sys/syscall.h", "sys/sysmacros.h", "sys/time.h", "sys/timerfd.h", "sys/types.h", "sys/uio.h",
        "sys/un.h", "sys/utsname.h", "sys/wait.h", "sys/xattr.h", "time.h", "unistd.h",
    ];

    private static readonly string[] s_rtnetlink = ["linux/if.h", "linux/rtnetlink.h", "linux/if_link.h", "linux/if_addr.h", "linux/neighbour.h"];

    private static readonly string[] s_trafficControl = ["linux/pkt_sched.h", "linux/pkt_cls.h", "linux/tc_act/tc_mirred.h"];

    private static readonly string[] s_kvm = ["linux/kvm.h"];

    // C# type -> its headers, where they are not libc's (which clash with some of the kernel's).
    private static readonly Dictionary<string, string[]> s_headers = new()
    {
        ["Termbits"] = ["asm/termbits.h", "asm/ioctls.h"],
        ["termios"] = ["asm/termbits.h"],
        ["LinuxIfTun"] = ["sys/ioctl.h", "net/if.h", "linux/if_tun.h"],
        ["ifreq"] = ["net/if.h"],
        ["SysMount"] = ["sys/mount.h"],
        ["Spawning"] = ["spawn.h"],
        ["posix_spawn_file_actions_t"] = ["spawn.h"],
        ["posix_spawnattr_t"] = ["spawn.h"],
        ["SysReboot"] = ["sys/reboot.h"],
        ["SysStatfs"] = ["linux/magic.h"],
        ["LinuxMount"] = ["linux/mount.h"],
        ["mount_attr"] = ["linux/mount.h"],
        ["LinuxOpenat2"] = ["linux/openat2.h"],
        ["open_how"] = ["linux/openat2.h"],
        ["LinuxCapability"] = ["linux/capability.h"],
        ["cap_user_header"] = ["linux/capability.h"],
        ["cap_user_data"] = ["linux/capability.h"],
        ["LinuxSeccomp"] = ["linux/seccomp.h", "linux/filter.h", "linux/audit.h"],
        ["sock_filter"] = ["linux/filter.h"],
        ["sock_fprog"] = ["linux/filter.h"],
        ["LinuxRtnetlink"] = s_rtnetlink,
        ["sockaddr_nl"] = s_rtnetlink,
        ["nlmsghdr"] = s_rtnetlink,
        ["ifinfomsg"] = s_rtnetlink,
        ["ifaddrmsg"] = s_rtnetlink,
        ["rtmsg"] = s_rtnetlink,
        ["ndmsg"] = s_rtnetlink,
        ["rtnexthop"] = s_rtnetlink,
        ["tcmsg"] = s_rtnetlink,
        ["LinuxPktCls"] = s_trafficControl,
        ["tc_u32_sel"] = s_trafficControl,
        ["tc_u32_key"] = s_trafficControl,
        ["tc_mirred"] = s_trafficControl,
        ["LinuxVmSockets"] = ["sys/socket.h", "linux/vm_sockets.h"],
        ["sockaddr_vm"] = ["sys/socket.h", "linux/vm_sockets.h"],
        ["LinuxBpf"] = ["linux/bpf.h"],
        ["bpf_insn"] = ["linux/bpf.h"],
        ["LinuxNsfs"] = ["sys/ioctl.h", "linux/nsfs.h"],
        ["LinuxRandom"] = ["sys/ioctl.h", "linux/random.h"],
    };

    // C# type -> C, where it is not `struct NAME`.
    private static readonly Dictionary<string, string> s_structures = new()
    {
        ["siginfo_t"] = "siginfo_t",
        ["sigset_t"] = "sigset_t",
        ["posix_spawn_file_actions_t"] = "posix_spawn_file_actions_t",
        ["posix_spawnattr_t"] = "posix_spawnattr_t",
        ["cap_user_header"] = "struct __user_cap_header_struct",
        ["cap_user_data"] = "struct __user_cap_data_struct",
        ["kvm_run_io"] = "__typeof__(((struct kvm_run *)0)->io)",
        ["kvm_run_mmio"] = "__typeof__(((struct kvm_run *)0)->mmio)",
        ["kvm_run_internal"] = "__typeof__(((struct kvm_run *)0)->internal)",
        ["kvm_run_fail_entry"] = "__typeof__(((struct kvm_run *)0)->fail_entry)",
        ["kvm_run_system_event"] = "__typeof__(((struct kvm_run *)0)->system_event)",
    };

    // C# type and field -> C's field, or null where C has none of that name.
    private static readonly Dictionary<(string Type, string Field), string?> s_fields = new()
    {
        [("itimerspec", "it_interval_sec")] = "it_interval.tv_sec",
        [("itimerspec", "it_interval_nsec")] = "it_interval.tv_nsec",
        [("itimerspec", "it_value_sec")] = "it_value.tv_sec",
        [("itimerspec", "it_value_nsec")] = "it_value.tv_nsec",
        [("bpf_insn", "registers")] = null,
        [("siginfo_t", "pad0")] = null,
        [("sigset_t", "bits")] = "__val",
        [("ifinfomsg", "pad0")] = "__ifi_pad",
        [("ndmsg", "pad1")] = "ndm_pad1",
        [("ndmsg", "pad2")] = "ndm_pad2",
        [("tcmsg", "pad1")] = "tcm__pad1",
        [("tcmsg", "pad2")] = "tcm__pad2",
        [("sockaddr_vm", "pad0")] = null,
        [("stat_t", "pad0")] = "__pad0",
        [("stat_t", "st_times")] = "st_atim",
        [("stat_t", "reserved")] = null,
    };

    // Mirrors of a structure's beginning only.
    private static readonly HashSet<string> s_prefixes = ["kvm_run"];

    public static string[] Headers(Type type) =>
        s_headers.TryGetValue(type.Name, out string[]? own) ? own : type.Namespace == "Hearth.Kvm.Native" ? s_kvm : s_libc;

    public static string Structure(Type type)
    {
        if (s_structures.TryGetValue(type.Name, out string? c))
        {
            return c;
        }

        string name = type.Name.EndsWith("_t", StringComparison.Ordinal) ? type.Name[..^2] : type.Name;
        return $"struct {name}";
    }

    public static string? Field(Type type, string field) => s_fields.TryGetValue((type.Name, field), out string? c) ? c : field;

    public static bool IsPrefix(Type type) => s_prefixes.Contains(type.Name);
}
