using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>One end of a connected stream socket. Non-blocking; a vanished peer is a result, never a signal.</summary>
public sealed unsafe class UnixStream : FileDescriptor
{
    /// <summary>What <see cref="Receive"/> and <see cref="Send"/> return where the call would have to wait.</summary>
    public const int WouldBlock = -1;

    /// <summary>What they return where the peer has gone.</summary>
    public const int Closed = -2;

    internal UnixStream(int fd)
        : base(fd)
    {
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
}
