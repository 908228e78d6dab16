using Hearth.Linux.Native;
using Hearth.Linux.Seccomp;

namespace Hearth.Virtio.VhostUser;

/// <summary>What devices with a back end need of the kernel while their guest runs.</summary>
public static class VhostUserSyscalls
{
    private static readonly SyscallRule[] s_messages =
    [
        new("sendmsg", "back ends: requests, with descriptors"),
        new("recvfrom", "back ends: answers"),
    ];

    public static DeviceSyscalls Rules { get; } = new(
        [
            .. s_messages,
            new SyscallRule("socket", "back ends: to one that has come back", SyscallRule.Is(0, SysSocket.AF_UNIX)),
            new SyscallRule("connect", "back ends: to one that has come back"),
        ],
        s_messages);
}
