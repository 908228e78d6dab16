namespace Hearth.Images.Kernels;

/// <summary>One option a Hearth guest's kernel should have, and why.</summary>
/// <param name="Option">Its name.</param>
/// <param name="Required">Whether the guest is useless without it.</param>
/// <param name="Reason">What it is for, as a noun phrase.</param>
/// <param name="Alternative">An option that serves instead; null if there is none.</param>
public sealed record KernelRequirement(string Option, bool Required, string Reason, string? Alternative = null);

/// <summary>What a guest kernel must have to boot under Hearth and to run containers.</summary>
public static class KernelRequirements
{
    public static IReadOnlyList<KernelRequirement> All { get; } =
    [
        new("CONFIG_64BIT", true, "entry by the 64-bit boot protocol"),
        new("CONFIG_VIRTIO_MMIO", true, "devices: all of the microVM's are virtio over MMIO"),
        new("CONFIG_VIRTIO_MMIO_CMDLINE_DEVICES", true, "way to find the devices (CONFIG_ACPI is the other)", "CONFIG_ACPI"),
        new("CONFIG_VIRTIO_BLK", true, "drives, the root file system among them"),
        new("CONFIG_BLK_DEV_INITRD", true, "booting with an initrd"),
        new("CONFIG_DEVTMPFS", true, "/dev without a device manager"),
        new("CONFIG_EXT4_FS", true, "root file systems that hearth rootfs build makes"),
        new("CONFIG_PROC_FS", true, "/proc, which every init and container runtime reads"),
        new("CONFIG_SYSFS", true, "/sys, which every init and container runtime reads"),
        new("CONFIG_TMPFS", true, "/run and /dev/shm"),
        new("CONFIG_UNIX", true, "local sockets"),
        new("CONFIG_BINFMT_ELF", true, "programs"),
        new("CONFIG_SERIAL_8250_CONSOLE", true, "console on ttyS0"),
        new("CONFIG_KVM_GUEST", false, "paravirtual clock: the guest calibrates its timers, which is slow and drifts"),
        new("CONFIG_PVH", false, "entry by the PVH note; the 64-bit Linux protocol is used"),
        new("CONFIG_SMP", false, "second vCPU (hearth kernel build --smp)"),
        new("CONFIG_X86_MPPARSE", false, "way to find the processors (CONFIG_ACPI is the other)", "CONFIG_ACPI"),
        new("CONFIG_VIRTIO_NET", false, "network interfaces"),
        new("CONFIG_VIRTIO_VSOCKETS", false, "line between the host and the guest's agent"),
        new("CONFIG_VIRTIO_FS", false, "volumes shared from the host"),
        new("CONFIG_VIRTIO_BALLOON", false, "memory given back to the host"),
        new("CONFIG_HW_RANDOM_VIRTIO", false, "entropy from the host"),
        new("CONFIG_OVERLAY_FS", false, "writable containers over shared images"),
        new("CONFIG_EROFS_FS", false, "container images as compact read-only drives", "CONFIG_SQUASHFS"),
        new("CONFIG_CGROUPS", false, "container limits"),
        new("CONFIG_MEMCG", false, "container memory limits"),
        new("CONFIG_CFS_BANDWIDTH", false, "container CPU limits"),
        new("CONFIG_CGROUP_PIDS", false, "container process limits"),
        new("CONFIG_CGROUP_BPF", false, "container device rules under cgroup v2"),
        new("CONFIG_PID_NS", false, "containers (process namespaces)"),
        new("CONFIG_NET_NS", false, "containers with networks of their own"),
        new("CONFIG_USER_NS", false, "rootless containers"),
        new("CONFIG_SECCOMP_FILTER", false, "container system call filters"),
        new("CONFIG_VT", false, "Ctrl-Alt-Del (SendCtrlAltDel): the virtual terminals' keyboard handler hears it"),
        new("CONFIG_KEYBOARD_ATKBD", false, "Ctrl-Alt-Del (SendCtrlAltDel)"),
        new("CONFIG_SERIO_I8042", false, "Ctrl-Alt-Del (SendCtrlAltDel)"),
    ];

    /// <summary>What <paramref name="config"/> lacks. A module counts for what is only recommended.</summary>
    public static IEnumerable<KernelRequirement> Unmet(KernelConfig config) =>
        All.Where(r => !Has(config, r.Option, r.Required) && (r.Alternative is null || !Has(config, r.Alternative, r.Required)));

    private static bool Has(KernelConfig config, string option, bool builtIn) =>
        config[option] == "y" || (!builtIn && config[option] == "m");
}
