using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Runtime.InteropServices;
using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>An owned file descriptor, closed once. Always close-on-exec.</summary>
public class FileDescriptor : SafeHandle
{
    public FileDescriptor(int fd, bool ownsHandle = true)
        : base(-1, ownsHandle)
    {
        SetHandle(fd);
    }

    public override bool IsInvalid => handle == -1;

    /// <summary>
    /// The raw number, for system calls whose caller keeps this object alive for the whole call (a field of a
    /// device that is not disposed while its loop runs).
    /// </summary>
    public int Number => (int)handle;

    /// <summary>
    /// The path by which other processes too get to what this is open on, as long as it is, where they may look into this process: those that it
    /// starts, say. Source: proc(5), /proc/PID/fd.
    /// </summary>
    public string Door => string.Create(CultureInfo.InvariantCulture, $"/proc/{Environment.ProcessId}/fd/{Number}");

    /// <summary>Opens <paramref name="path"/>; <c>O_CLOEXEC</c> is added.</summary>
    /// <exception cref="LinuxException">The file cannot be opened.</exception>
    public static FileDescriptor Open(string path, int flags, uint mode = 0, string? remedy = null)
    {
        // A NUL would end the path early, and another file would be opened than the one that was named.
        if (path.Contains('\0'))
        {
            throw new LinuxException($"open(\"{path}\")", Errno.EINVAL, "A path has no NUL character.");
        }

        int fd;
        do
        {
            fd = Fcntl.open(path, flags | Fcntl.O_CLOEXEC, mode);
        }
        while (fd < 0 && LinuxException.LastErrno == Errno.EINTR);
        if (fd < 0)
        {
            throw LinuxException.Last($"open(\"{path}\")", remedy);
        }

        return new FileDescriptor(fd);
    }

    /// <summary>Takes ownership of what a call returned, or throws for <c>-1</c>.</summary>
    public static int Check(int result, string call, string? remedy = null)
    {
        if (result < 0)
        {
            ThrowLast(call, remedy);
        }

        return result;
    }

    protected override bool ReleaseHandle() => Unistd.close((int)handle) == 0;

    [DoesNotReturn]
    private static void ThrowLast(string call, string? remedy) => throw LinuxException.Last(call, remedy);
}
