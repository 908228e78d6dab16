using System.Runtime.InteropServices;
using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>One end of a connected stream socket. Non-blocking; a vanished peer is a result, never a signal.</summary>
public sealed unsafe class UnixStream : FileDescriptor
{
    /// <summary>What <see cref="Receive"/> and <see cref="Send(ReadOnlySpan{byte})"/> return where the call would have to wait.</summary>
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
    public int Receive(Span<byte> buffer)
    {
        fixed (byte* start = buffer)
        {
            while (true)
            {
                // SAFETY: the span is pinned for the whole call and its length is passed along.
                nint count = SysSocket.recv(Number, start, (nuint)buffer.Length, 0);
                if (count > 0)
                {
                    return (int)count;
                }

                if (count == 0)
                {
                    return Closed;
                }

                if (LinuxException.LastErrno != Errno.EINTR)
                {
                    return LinuxException.LastErrno == Errno.EAGAIN ? WouldBlock : Closed;
                }
            }
        }
    }

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
}
