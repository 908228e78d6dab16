using System.Text;
using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>A listening stream socket at a path. Non-blocking. The file is the owner's to remove. Source: unix(7).</summary>
public sealed unsafe class UnixListener : FileDescriptor
{
    private UnixListener(int fd)
        : base(fd)
    {
    }

    /// <summary>Makes the socket file and listens on it.</summary>
    /// <exception cref="LinuxException">The path is taken (EADDRINUSE), too long (ENAMETOOLONG), or cannot be made.</exception>
    public static UnixListener Bind(string path, int backlog)
    {
        var address = new sockaddr_un { sun_family = SysSocket.AF_UNIX };
        int length = Encoding.UTF8.GetByteCount(path);
        // The last byte stays zero: other programs read the path as a C string.
        if (length is 0 or >= sockaddr_un.PathSize || path.Contains('\0'))
        {
            throw new LinuxException($"bind(\"{path}\")", length == 0 ? Errno.ENOENT : Errno.ENAMETOOLONG, "A socket's path is 1 to 107 bytes long.");
        }

        // SAFETY: sun_path holds PathSize bytes and `length` was just checked to be less.
        Encoding.UTF8.GetBytes(path, new Span<byte>(address.sun_path, sockaddr_un.PathSize));
        var listener = new UnixListener(Check(
            SysSocket.socket(SysSocket.AF_UNIX, SysSocket.SOCK_STREAM | SysSocket.SOCK_NONBLOCK | SysSocket.SOCK_CLOEXEC, 0),
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
