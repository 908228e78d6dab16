using Hearth.Linux.Seccomp;

namespace Hearth.Virtio.Block;

/// <summary>What drives need of the kernel while their guest runs.</summary>
public static class BlockSyscalls
{
    public static DeviceSyscalls Rules { get; } = new(
        [
            new SyscallRule("preadv", "drives: reads"),
            new SyscallRule("pwritev", "drives: writes"),
            new SyscallRule("fdatasync", "drives: flushes"),
        ],
        [
            new SyscallRule("openat", "PATCH /drives: another file"),
            new SyscallRule("open", "PATCH /drives: another file"),
            new SyscallRule("fstat", "PATCH /drives: is it a file, and how large"),
            new SyscallRule("newfstatat", "PATCH /drives: is it a file, and how large (fstat of newer C libraries)"),
            new SyscallRule("lseek", "PATCH /drives: the size of a block device"),
        ]);
}
