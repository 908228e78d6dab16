using Hearth.Linux.Native;
using Hearth.Linux.Seccomp;

namespace Hearth.Virtio.Vsock;

/// <summary>What the vsock device needs of the kernel while its guest runs.</summary>
public static class VsockSyscalls
{
    public static DeviceSyscalls Rules { get; } = new(
        [
            new SyscallRule("accept4", "vsock: a host's connection"),
            new SyscallRule("socket", "vsock: a guest's connection", SyscallRule.Is(0, SysSocket.AF_UNIX)),
            new SyscallRule("connect", "vsock: a guest's connection"),
            new SyscallRule("recvfrom", "vsock: what a host says first"),
            new SyscallRule("readv", "vsock: bytes to the guest"),
            new SyscallRule("sendto", "vsock: bytes to the host"),
            new SyscallRule("sendmsg", "vsock: bytes to the host"),
            new SyscallRule("shutdown", "vsock: one direction ends"),
        ],
        [
            new SyscallRule("unlink", "vsock: the socket's file at the end"),
        ]);
}
