using Hearth.Linux.Seccomp;

namespace Hearth.Virtio.Net;

/// <summary>What network interfaces need of the kernel while their guest runs.</summary>
public static class NetSyscalls
{
    public static DeviceSyscalls Rules { get; } = new(
        [
            new SyscallRule("readv", "network: a frame from the TAP"),
            new SyscallRule("writev", "network: a frame to the TAP"),
            .. SyscallRule.OneOf("ioctl", "network: offloads that the guest's driver takes", 1, Linux.Native.LinuxIfTun.TUNSETOFFLOAD),
        ],
        []);
}
