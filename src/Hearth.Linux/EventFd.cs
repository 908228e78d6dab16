using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>
/// A non-blocking eventfd: a doorbell between threads, and between KVM and this process (ioeventfd, irqfd).
/// Thread: any. Source: eventfd(2).
/// </summary>
public sealed unsafe class EventFd : FileDescriptor
{
    public EventFd()
        : base(Check(SysEpoll.eventfd(0, SysEpoll.EFD_CLOEXEC | SysEpoll.EFD_NONBLOCK), "eventfd()"))
    {
    }

    /// <summary>Rings the bell. A counter at its maximum is already ringing, so EAGAIN is no error.</summary>
    public void Signal()
    {
        ulong one = 1;
        // SAFETY: `one` lives on this stack for the whole call; 8 bytes is what eventfd(2) asks for.
        _ = Unistd.write(Number, &one, sizeof(ulong));
    }

    /// <summary>Takes the bell's count and sets it to 0; false if it had not rung.</summary>
    public bool Drain()
    {
        ulong count;
        // SAFETY: `count` lives on this stack for the whole call; 8 bytes is what eventfd(2) asks for.
        return Unistd.read(Number, &count, sizeof(ulong)) == sizeof(ulong);
    }
}
