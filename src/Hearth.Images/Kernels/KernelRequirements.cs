namespace Hearth.Images.Kernels;

/// <summary>One option a Hearth guest's kernel should have, and why.</summary>
public sealed record KernelRequirement(string Option, bool Required, string Reason);

/// <summary>What a guest kernel must have to boot under Hearth and to run containers.</summary>
public static class KernelRequirements
{
    public static IReadOnlyList<KernelRequirement> All { get; } =
    [
        new("CONFIG_VIRTIO_MMIO", true, "every device of the microVM is virtio over MMIO"),
        new("CONFIG_VIRTIO_BLK", true, "drives, the root file system among them"),
        new("CONFIG_SERIAL_8250_CONSOLE", true, "the console on ttyS0"),
        new("CONFIG_KVM_GUEST", true, "the paravirtual clock, without which the guest calibrates its timers"),
        new("CONFIG_BLK_DEV_INITRD", true, "booting with an initrd"),
        new("CONFIG_DEVTMPFS", true, "/dev without a device manager"),
        new("CONFIG_EXT4_FS", true, "root file systems that hearth rootfs build makes"),
        new("CONFIG_PROC_FS", true, "every init and container runtime"),
        new("CONFIG_SYSFS", true, "every init and container runtime"),
        new("CONFIG_TMPFS", true, "/run and /dev/shm"),
        new("CONFIG_UNIX", true, "local sockets"),
        new("CONFIG_BINFMT_ELF", true, "running programs"),
        new("CONFIG_VIRTIO_MMIO_CMDLINE_DEVICES", false, "finding devices without ACPI; a kernel with CONFIG_ACPI does not need it"),
        new("CONFIG_VIRTIO_NET", false, "network interfaces"),
        new("CONFIG_VIRTIO_VSOCKETS", false, "the line between the host and the agent"),
        new("CONFIG_VIRTIO_FS", false, "volumes shared from the host"),
        new("CONFIG_HW_RANDOM_VIRTIO", false, "entropy from the host"),
        new("CONFIG_OVERLAY_FS", false, "container images in layers"),
        new("CONFIG_CGROUPS", false, "container limits"),
        new("CONFIG_MEMCG", false, "container memory limits"),
        new("CONFIG_CGROUP_PIDS", false, "container process limits"),
        new("CONFIG_PID_NS", false, "containers"),
        new("CONFIG_NET_NS", false, "containers"),
        new("CONFIG_USER_NS", false, "rootless containers"),
        new("CONFIG_SECCOMP_FILTER", false, "container system call filters"),
        new("CONFIG_SERIO_I8042", false, "hearing Ctrl-Alt-Del (SendCtrlAltDel)"),
    ];

    /// <summary>What <paramref name="config"/> lacks. A module counts for what is only recommended.</summary>
    public static IEnumerable<KernelRequirement> Unmet(KernelConfig config) =>
        All.Where(r => config[r.Option] != "y" && (r.Required || config[r.Option] != "m"));
}
