using System.Runtime.InteropServices;

namespace Hearth.Linux.Native;

/// <summary>unistd.h, sys/uio.h and stdlib.h.</summary>
public static unsafe partial class Unistd
{
    public const int SEEK_DATA = 3;
    public const int SEEK_HOLE = 4;

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int close(int fd);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial nint read(int fd, void* buf, nuint count);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial nint write(int fd, void* buf, nuint count);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial nint pread(int fd, void* buf, nuint count, long offset);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial nint readv(int fd, iovec* iov, int iovcnt);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial nint writev(int fd, iovec* iov, int iovcnt);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial nint preadv(int fd, iovec* iov, int iovcnt, long offset);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial nint pwritev(int fd, iovec* iov, int iovcnt, long offset);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int fdatasync(int fd);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int fsync(int fd);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int ftruncate(int fd, long length);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial long lseek(int fd, long offset, int whence);

    [LibraryImport(Libc.Name, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int unlink(string path);

    [LibraryImport(Libc.Name, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int unlinkat(int dirfd, string path, int flags);

    [LibraryImport(Libc.Name, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int symlinkat(string target, int dirfd, string path);

    [LibraryImport(Libc.Name, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint readlinkat(int dirfd, string path, byte* buf, nuint bufsiz);

    [LibraryImport(Libc.Name, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int fchownat(int dirfd, string path, uint owner, uint group, int flags);

    [LibraryImport(Libc.Name, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int chdir(string path);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int fchown(int fd, uint owner, uint group);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int fchdir(int fd);

    [LibraryImport(Libc.Name, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int chroot(string path);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int pipe2(int* fds, int flags);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int dup3(int oldfd, int newfd, int flags);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int setsid();

    [LibraryImport(Libc.Name)]
    public static partial uint umask(uint mask);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int sethostname(byte* name, nuint len);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int setdomainname(byte* name, nuint len);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int execve(byte* path, byte** argv, byte** envp);

    [LibraryImport(Libc.Name)]
    public static partial void sync();

    [LibraryImport(Libc.Name)]
    public static partial int getpid();

    [LibraryImport(Libc.Name)]
    public static partial int getpgrp();

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int getsid(int pid);

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial nint copy_file_range(int fd_in, long* off_in, int fd_out, long* off_out, nuint len, uint flags);

    [LibraryImport(Libc.Name)]
    public static partial int gettid();

    [LibraryImport(Libc.Name)]
    public static partial void _exit(int status);
}

/// <summary>struct iovec (sys/uio.h).</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct iovec
{
    public void* iov_base;
    public nuint iov_len;
}
