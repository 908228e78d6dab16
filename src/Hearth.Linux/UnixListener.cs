using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>A listening stream socket at a path. Non-blocking, unless it is for another program. The file is the owner's to remove. Source: unix(7).</summary>
public sealed unsafe class UnixListener : FileDescriptor
{
    private UnixListener(int fd)
        : base(fd)
    {
    }

    /// <summary>Makes the socket file and listens on it.</summary>
    /// <exception cref="LinuxException">The path is taken (EADDRINUSE), too long (ENAMETOOLONG), or cannot be made.</exception>
    public static UnixListener Bind(string path, int backlog, bool blocking = false)
    {
        sockaddr_un address = UnixAddress.From(path, "bind");
        var listener = new UnixListener(Check(
            SysSocket.socket(SysSocket.AF_UNIX, SysSocket.SOCK_STREAM | (blocking ? 0 : SysSocket.SOCK_NONBLOCK) | SysSocket.SOCK_CLOEXEC, 0),
            "socket(AF_UNIX)"));
        try
        {
            // SAFETY: `address` lives on this stack for the whole call and is as long as its size says.
            Check(SysSocket.bind(listener.Number, &address, (uint)sizeof(sockaddr_un)), $"bind(\"{path}\")");
            Check(SysSocket.listen(listener.Number, backlog), $"listen(\"{path}\")");
            return listener;
        }
        catch
        {
            listener.Dispose();
            throw;
        }
    }

    /// <summary>Takes the next waiting client; null if there is none (or it has gone already).</summary>
    public UnixStream? TryAccept()
    {
        // SAFETY: a null address is allowed: the peer's name is not asked for.
        int fd = SysSocket.accept4(Number, null, null, SysSocket.SOCK_NONBLOCK | SysSocket.SOCK_CLOEXEC);
        return fd < 0 ? null : new UnixStream(fd);
    }
}
