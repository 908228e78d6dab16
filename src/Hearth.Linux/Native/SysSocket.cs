using System.Runtime.InteropServices;

namespace Hearth.Linux.Native;

/// <summary>sys/socket.h and sys/un.h.</summary>
public static unsafe partial class SysSocket
{
    public const int AF_UNIX = 1;
    public const int AF_INET = 2;
    public const int AF_INET6 = 10;
    public const int AF_NETLINK = 16;
    public const int SOCK_STREAM = 1;
    public const int SOCK_RAW = 3;
    public const int SOCK_SEQPACKET = 5;
    public const int SOCK_NONBLOCK = 0x800;
    public const int SOCK_CLOEXEC = 0x80000;
    public const int SHUT_RD = 0;
    public const int SHUT_WR = 1;
    public const int SOL_SOCKET = 1;
    public const int SO_PEERCRED = 17;
    public const int SCM_RIGHTS = 1;
    public const int MSG_PEEK = 2;
    public const int MSG_NOSIGNAL = 0x4000;
    public const int MSG_CMSG_CLOEXEC = 0x40000000;

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int socket(int domain, int type, int protocol);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int socketpair(int domain, int type, int protocol, int* pair);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int bind(int fd, sockaddr_un* addr, uint len);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int bind(int fd, sockaddr_nl* addr, uint len);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int connect(int fd, sockaddr_un* addr, uint len);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int listen(int fd, int backlog);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int getsockopt(int fd, int level, int name, void* value, uint* len);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int accept4(int fd, void* addr, uint* len, int flags);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial nint recv(int fd, void* buf, nuint len, int flags);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial nint sendmsg(int fd, msghdr* message, int flags);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial nint recvmsg(int fd, msghdr* message, int flags);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int shutdown(int fd, int how);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial nint send(int fd, void* buf, nuint len, int flags);
}

/// <summary>struct sockaddr_un.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct sockaddr_un
{
    public const int PathSize = 108;

    public ushort sun_family;
    public fixed byte sun_path[PathSize];
}

/// <summary>struct msghdr.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct msghdr
{
    public void* msg_name;
    public uint msg_namelen;
    public iovec* msg_iov;
    public nuint msg_iovlen;
    public void* msg_control;
    public nuint msg_controllen;
    public int msg_flags;
}

/// <summary>struct cmsghdr; its data follow.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct cmsghdr
{
    public nuint cmsg_len;
    public int cmsg_level;
    public int cmsg_type;
}

/// <summary>struct ucred.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct ucred
{
    public int pid;
    public uint uid;
    public uint gid;
}
