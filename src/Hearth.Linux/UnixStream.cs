using System.Runtime.InteropServices;
using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>One end of a connected stream socket. Non-blocking; a vanished peer is a result, never a signal.</summary>
public sealed unsafe class UnixStream : FileDescriptor
{
    /// <summary>What <see cref="Receive(Span{byte})"/> and <see cref="Send(ReadOnlySpan{byte})"/> return where the call would have to wait.</summary>
    public const int WouldBlock = -1;

    /// <summary>What they return where the peer has gone.</summary>
    public const int Closed = -2;

    /// <summary>How many descriptors go with one send.</summary>
    public const int MaxDescriptors = 8;

    // A cmsghdr and its descriptors.
    private const int ControlBytes = 16 + (MaxDescriptors * sizeof(int));

    internal UnixStream(int fd)
        : base(fd)
    {
    }

    /// <summary>
    /// The process at the other end: the one that last called listen(2) there, or connect(2), or socketpair(2), as it was then (SO_PEERCRED,
    /// unix(7)). It may have ended by now; 0 where it is in another PID namespace.
    /// </summary>
    public int PeerPid
    {
        get
        {
            ucred peer;
            uint size = (uint)sizeof(ucred);
            // SAFETY: `peer` and `size` live on this stack for the whole call, and `size` is that of `peer`.
            Check(SysSocket.getsockopt(Number, SysSocket.SOL_SOCKET, SysSocket.SO_PEERCRED, &peer, &size), "getsockopt(SO_PEERCRED)");
            return peer.pid;
        }
    }

    /// <summary>Connects to the socket at <paramref name="path"/>. Never blocks.</summary>
    /// <exception cref="LinuxException">Nobody listens there, or so many wait already that it would block (EAGAIN).</exception>
    public static UnixStream Connect(string path)
    {
        sockaddr_un address = UnixAddress.From(path, "connect");
        var stream = new UnixStream(Check(
            SysSocket.socket(SysSocket.AF_UNIX, SysSocket.SOCK_STREAM | SysSocket.SOCK_NONBLOCK | SysSocket.SOCK_CLOEXEC, 0),
            "socket(AF_UNIX)"));
        // SAFETY: `address` lives on this stack for the whole call and is as long as its size says.
        if (SysSocket.connect(stream.Number, &address, (uint)sizeof(sockaddr_un)) < 0)
        {
            LinuxException failure = LinuxException.Last($"connect(\"{path}\")");
            stream.Dispose();
            throw failure;
        }

        return stream;
    }

    /// <summary>As <see cref="Connect"/>, for a path somebody else chose: null where it fails, which costs nothing.</summary>
    public static UnixStream? TryConnect(string path)
    {
        sockaddr_un address = UnixAddress.From(path, "connect");
        int fd = SysSocket.socket(SysSocket.AF_UNIX, SysSocket.SOCK_STREAM | SysSocket.SOCK_NONBLOCK | SysSocket.SOCK_CLOEXEC, 0);
        // SAFETY: `address` lives on this stack for the whole call and is as long as its size says.
        if (fd >= 0 && SysSocket.connect(fd, &address, (uint)sizeof(sockaddr_un)) == 0)
        {
            return new UnixStream(fd);
        }

        if (fd >= 0)
        {
            _ = Unistd.close(fd);
        }

        return null;
    }

    /// <summary>What <see cref="Connect"/> would fail with, without a connection, of which some programs take only one.</summary>
    /// <returns><see cref="Errno.None"/> where there is a socket; whether somebody listens is not known.</returns>
    public static Errno Probe(string path)
    {
        try
        {
            using FileDescriptor file = Open(path, Fcntl.O_PATH);
            stat_t stat;
            // SAFETY: `stat` lives on this stack for the whole call and has the kernel's size.
            Check(SysStat.fstat(file.Number, &stat), $"fstat(\"{path}\")");
            return (stat.st_mode & SysStat.S_IFMT) == SysStat.S_IFSOCK ? Errno.None : Errno.ECONNREFUSED;
        }
        catch (LinuxException e)
        {
            return e.Errno;
        }
    }

    /// <returns>Bytes received, 1 or more; <see cref="WouldBlock"/>; or <see cref="Closed"/>.</returns>
    public int Receive(Span<byte> buffer) => Receive(buffer, flags: 0);

    /// <summary>As <see cref="Receive(Span{byte})"/>, and leaves the bytes for the next receive.</summary>
    public int Peek(Span<byte> buffer) => Receive(buffer, SysSocket.MSG_PEEK);

    /// <summary>As <see cref="Receive(Span{byte})"/>, into pieces of memory that the caller keeps alive.</summary>
    /// <param name="pieces">Pinned; <c>IOV_MAX</c> (1024) at most, with one byte or more.</param>
    public int Receive(ReadOnlySpan<iovec> pieces)
    {
        fixed (iovec* first = pieces)
        {
            while (true)
            {
                // SAFETY: the list is pinned, and the caller vouches for the pieces.
                nint count = Unistd.readv(Number, first, pieces.Length);
                if (count >= 0 || LinuxException.LastErrno != Errno.EINTR)
                {
                    return Received(count);
                }
            }
        }
    }

    /// <summary>As <see cref="Send(ReadOnlySpan{byte})"/>, from pieces of memory that the caller keeps alive.</summary>
    /// <param name="pieces">Pinned; <c>IOV_MAX</c> (1024) at most.</param>
    public int Send(ReadOnlySpan<iovec> pieces)
    {
        fixed (iovec* first = pieces)
        {
            var message = new msghdr { msg_iov = first, msg_iovlen = (nuint)pieces.Length };
            nint count;
            do
            {
                // SAFETY: the list is pinned, and the caller vouches for the pieces.
                count = SysSocket.sendmsg(Number, &message, SysSocket.MSG_NOSIGNAL);
            }
            while (count < 0 && LinuxException.LastErrno == Errno.EINTR);
            return count >= 0 ? (int)count : LinuxException.LastErrno == Errno.EAGAIN ? WouldBlock : Closed;
        }
    }

    /// <summary>Says that nothing more will be sent; the other end reads to its end of file. Fails silently where that has gone.</summary>
    public void ShutdownSend() => _ = SysSocket.shutdown(Number, SysSocket.SHUT_WR);

    /// <summary>Says that nothing more will be read: the other end's sends fail. Fails silently where that has gone.</summary>
    public void ShutdownReceive() => _ = SysSocket.shutdown(Number, SysSocket.SHUT_RD);

    /// <returns>Bytes sent; <see cref="WouldBlock"/>; or <see cref="Closed"/>.</returns>
    public int Send(ReadOnlySpan<byte> buffer)
    {
        fixed (byte* start = buffer)
        {
            while (true)
            {
                // SAFETY: the span is pinned for the whole call and its length is passed along.
                nint count = SysSocket.send(Number, start, (nuint)buffer.Length, SysSocket.MSG_NOSIGNAL);
                if (count >= 0)
                {
                    return (int)count;
                }

                if (LinuxException.LastErrno != Errno.EINTR)
                {
                    return LinuxException.LastErrno == Errno.EAGAIN ? WouldBlock : Closed;
                }
            }
        }
    }

    /// <summary>
    /// As <see cref="Send(ReadOnlySpan{byte})"/>, with descriptors that the receiver gets duplicates of (SCM_RIGHTS,
    /// unix(7)). They go with the first byte, so they are gone as soon as anything was sent.
    /// </summary>
    /// <param name="buffer">Not empty.</param>
    /// <param name="descriptors"><see cref="MaxDescriptors"/> at most.</param>
    public int Send(ReadOnlySpan<byte> buffer, ReadOnlySpan<FileDescriptor> descriptors)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(descriptors.Length, MaxDescriptors, nameof(descriptors));
        if (descriptors.IsEmpty)
        {
            return Send(buffer);
        }

        Span<byte> control = stackalloc byte[ControlBytes];
        control.Clear();
        int length = sizeof(cmsghdr) + (descriptors.Length * sizeof(int));
        var header = new cmsghdr { cmsg_len = (nuint)length, cmsg_level = SysSocket.SOL_SOCKET, cmsg_type = SysSocket.SCM_RIGHTS };
        MemoryMarshal.Write(control, header);
        for (int i = 0; i < descriptors.Length; i++)
        {
            MemoryMarshal.Write(control[(sizeof(cmsghdr) + (i * sizeof(int)))..], descriptors[i].Number);
        }

        fixed (byte* start = buffer, controlStart = control)
        {
            var piece = new iovec { iov_base = start, iov_len = (nuint)buffer.Length };
            // SAFETY: the payload and the control bytes are pinned for the whole call; the control length is rounded up
            // to the alignment of cmsghdr and is within the array, which holds MaxDescriptors.
            var message = new msghdr { msg_iov = &piece, msg_iovlen = 1, msg_control = controlStart, msg_controllen = (nuint)((length + 7) & ~7) };
            nint count;
            do
            {
                count = SysSocket.sendmsg(Number, &message, SysSocket.MSG_NOSIGNAL);
            }
            while (count < 0 && LinuxException.LastErrno == Errno.EINTR);
            return count >= 0 ? (int)count : LinuxException.LastErrno == Errno.EAGAIN ? WouldBlock : Closed;
        }
    }

    private static int Received(nint count) =>
        count > 0 ? (int)count : count < 0 && LinuxException.LastErrno == Errno.EAGAIN ? WouldBlock : Closed;

    private int Receive(Span<byte> buffer, int flags)
    {
        fixed (byte* start = buffer)
        {
            while (true)
            {
                // SAFETY: the span is pinned for the whole call and its length is passed along.
                nint count = SysSocket.recv(Number, start, (nuint)buffer.Length, flags);
                if (count >= 0 || LinuxException.LastErrno != Errno.EINTR)
                {
                    return Received(count);
                }
            }
        }
    }
}
