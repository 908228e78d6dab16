using System.Runtime.CompilerServices;
using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>
/// One end of a pair of sockets between a process and its child: short messages that stay whole, each with a descriptor or
/// without. Blocking. Thread: one sender and one receiver. Source: unix(7), SOCK_SEQPACKET, SCM_RIGHTS.
/// </summary>
public sealed unsafe class ControlChannel : FileDescriptor
{
    /// <summary>The longest message, in bytes.</summary>
    public const int MaxMessage = 4096;

    public ControlChannel(int fd)
        : base(fd)
    {
    }

    public static (ControlChannel Near, ControlChannel Far) CreatePair()
    {
        int* pair = stackalloc int[2];
        // SAFETY: socketpair writes two descriptors to this stack.
        Check(SysSocket.socketpair(SysSocket.AF_UNIX, SysSocket.SOCK_SEQPACKET | SysSocket.SOCK_CLOEXEC, 0, pair), "socketpair()");
        return (new ControlChannel(pair[0]), new ControlChannel(pair[1]));
    }

    /// <summary>Sends a message; false if the other end is closed.</summary>
    public bool Send(ReadOnlySpan<byte> message, FileDescriptor? descriptor = null)
    {
        const int controlSize = 24;
        byte* control = stackalloc byte[controlSize];
        // SAFETY: the message is pinned, and it and the control bytes on this stack outlive every sendmsg below.
        fixed (byte* p = message)
        {
            var part = new iovec { iov_base = p, iov_len = (nuint)message.Length };
            var header = new msghdr { msg_iov = &part, msg_iovlen = 1 };
            if (descriptor is not null)
            {
                var rights = new cmsghdr { cmsg_len = (nuint)sizeof(cmsghdr) + sizeof(int), cmsg_level = SysSocket.SOL_SOCKET, cmsg_type = SysSocket.SCM_RIGHTS };
                // SAFETY: a header of 16 bytes and one int fit into the 24 bytes that CMSG_SPACE(4) is.
                Unsafe.WriteUnaligned(control, rights);
                Unsafe.WriteUnaligned(control + sizeof(cmsghdr), descriptor.Number);
                header.msg_control = control;
                header.msg_controllen = controlSize;
            }

            while (SysSocket.sendmsg(Number, &header, SysSocket.MSG_NOSIGNAL) < 0)
            {
                if (LinuxException.LastErrno != Errno.EINTR)
                {
                    return false;
                }
            }

            return true;
        }
    }

    /// <summary>Waits for a message.</summary>
    /// <param name="buffer">Where it goes; what is longer is cut off.</param>
    /// <param name="descriptor">What came with it, else null.</param>
    /// <returns>Its length; 0 if the other end is closed.</returns>
    public int Receive(Span<byte> buffer, out FileDescriptor? descriptor)
    {
        const int controlSize = 24;
        byte* control = stackalloc byte[controlSize];
        descriptor = null;
        fixed (byte* p = buffer)
        {
            var part = new iovec { iov_base = p, iov_len = (nuint)buffer.Length };
            var header = new msghdr { msg_iov = &part, msg_iovlen = 1, msg_control = control, msg_controllen = controlSize };
            nint count;
            // SAFETY: the header points to this stack and the pinned span, with their sizes.
            while ((count = SysSocket.recvmsg(Number, &header, SysSocket.MSG_CMSG_CLOEXEC)) < 0)
            {
                if (LinuxException.LastErrno != Errno.EINTR)
                {
                    return 0;
                }
            }

            // SAFETY: the kernel says how much of the control buffer it filled.
            if (header.msg_controllen >= (nuint)sizeof(cmsghdr) + sizeof(int)
                && Unsafe.ReadUnaligned<cmsghdr>(control) is { cmsg_level: SysSocket.SOL_SOCKET, cmsg_type: SysSocket.SCM_RIGHTS })
            {
                descriptor = new FileDescriptor(Unsafe.ReadUnaligned<int>(control + sizeof(cmsghdr)));
            }

            return (int)count;
        }
    }
}
