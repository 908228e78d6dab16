using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>pipe2(2), and files that are only memory.</summary>
public static unsafe class Pipe
{
    private const uint OwnerOnly = 0x180;

    public static (FileDescriptor Read, FileDescriptor Write) Create()
    {
        int* pair = stackalloc int[2];
        // SAFETY: pipe2 writes two descriptors to this stack.
        FileDescriptor.Check(Unistd.pipe2(pair, Fcntl.O_CLOEXEC), "pipe2()");
        return (new FileDescriptor(pair[0]), new FileDescriptor(pair[1]));
    }

    /// <summary>Makes a FIFO that only its owner opens.</summary>
    public static void CreateNamed(string path) =>
        FileDescriptor.Check(SysStat.mknodat(Fcntl.AT_FDCWD, path, SysStat.S_IFIFO | OwnerOnly, 0), $"mkfifo(\"{path}\")");

    /// <summary>A pair of connected stream sockets.</summary>
    public static (FileDescriptor Near, FileDescriptor Far) CreateSockets()
    {
        int* pair = stackalloc int[2];
        // SAFETY: socketpair writes two descriptors to this stack.
        FileDescriptor.Check(SysSocket.socketpair(SysSocket.AF_UNIX, SysSocket.SOCK_STREAM | SysSocket.SOCK_CLOEXEC, 0, pair), "socketpair()");
        return (new FileDescriptor(pair[0]), new FileDescriptor(pair[1]));
    }

    /// <summary>Memory as a file, with this content, to be read from its start.</summary>
    public static FileDescriptor CreateMemoryFile(string name, ReadOnlySpan<byte> content)
    {
        var file = new FileDescriptor(FileDescriptor.Check(SysMman.memfd_create(name, SysMman.MFD_CLOEXEC), "memfd_create()"));
        WriteAll(file, content);
        FileDescriptor.Check((int)Unistd.lseek(file.Number, 0, 0), "lseek()");
        return file;
    }

    /// <summary>Writes everything to a blocking descriptor.</summary>
    public static void WriteAll(FileDescriptor file, ReadOnlySpan<byte> content)
    {
        fixed (byte* p = content)
        {
            int done = 0;
            while (done < content.Length)
            {
                // SAFETY: the span is pinned and the rest is within it.
                nint count = Unistd.write(file.Number, p + done, (nuint)(content.Length - done));
                if (count < 0 && LinuxException.LastErrno != Errno.EINTR)
                {
                    throw LinuxException.Last("write()");
                }

                done += (int)Math.Max(count, 0);
            }
        }
    }

    /// <summary>Reads to the end.</summary>
    public static byte[] ReadAll(FileDescriptor file)
    {
        var content = new MemoryStream();
        Span<byte> buffer = new byte[16 << 10];
        int count;
        while ((count = Polling.Read(file, buffer)) > 0)
        {
            content.Write(buffer[..count]);
        }

        return count == 0 ? content.ToArray() : throw LinuxException.Last("read()");
    }

    /// <summary>From now on reads and writes of this open file return EAGAIN rather than wait.</summary>
    public static void SetNonBlocking(FileDescriptor fd)
    {
        int flags = FileDescriptor.Check(Fcntl.fcntl(fd.Number, Fcntl.F_GETFL, 0), "fcntl(F_GETFL)");
        FileDescriptor.Check(Fcntl.fcntl(fd.Number, Fcntl.F_SETFL, flags | Fcntl.O_NONBLOCK), "fcntl(F_SETFL)");
    }

    /// <summary>One write(2): the number of bytes, -1 with the error in <see cref="LinuxException.LastErrno"/>. SIGPIPE must be ignored.</summary>
    public static int Write(FileDescriptor fd, ReadOnlySpan<byte> content)
    {
        fixed (byte* p = content)
        {
            // SAFETY: the span is pinned and the length is its own.
            return (int)Unistd.write(fd.Number, p, (nuint)content.Length);
        }
    }

    /// <summary>Says on a socket that nothing more is sent.</summary>
    public static void ShutDownSending(FileDescriptor socket) => _ = SysSocket.shutdown(socket.Number, SysSocket.SHUT_WR);
}
