using Hearth.Linux.Seccomp;

namespace Hearth.Virtio.Rng;

/// <summary>What the entropy device needs of the kernel while its guest runs.</summary>
public static class RngSyscalls
{
    public static DeviceSyscalls Rules { get; } = new([new SyscallRule("getrandom", "entropy device: random bytes")], []);
}
