using Hearth.Linux.Seccomp;

namespace Hearth.Virtio;

/// <summary>The system calls that a kind of device needs while its guest runs.</summary>
/// <param name="Loop">On the device loop; and on a vCPU's thread, where a driver starts or resets the device.</param>
/// <param name="Api">On the API thread: changes to a running device, and its end.</param>
public sealed record DeviceSyscalls(IReadOnlyList<SyscallRule> Loop, IReadOnlyList<SyscallRule> Api);
