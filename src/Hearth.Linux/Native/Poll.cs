using System.Runtime.InteropServices;

namespace Hearth.Linux.Native;

/// <summary>poll.h.</summary>
public static unsafe partial class Poll
{
    public const short POLLIN = 1;
    public const short POLLOUT = 4;
    public const short POLLHUP = 0x10;
    public const short POLLRDHUP = 0x2000;

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int poll(pollfd* fds, nuint nfds, int timeout);
}

/// <summary>struct pollfd.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct pollfd
{
    public int fd;
    public short events;
    public short revents;
}
