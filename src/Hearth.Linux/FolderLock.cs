using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>
/// A folder that one process at a time has to itself, by agreement: it leaves no file, and the kernel takes it back from a
/// process that dies. Source: flock(2).
/// </summary>
public static class FolderLock
{
    /// <summary>Waits for it; disposing gives it back.</summary>
    /// <exception cref="LinuxException">There is no such folder.</exception>
    public static FileDescriptor Take(string folder)
    {
        FileDescriptor descriptor = FileDescriptor.Open(folder, Fcntl.O_RDONLY | Fcntl.O_DIRECTORY);
        while (SysFile.flock(descriptor.Number, SysFile.LOCK_EX) < 0)
        {
            if (LinuxException.LastErrno != Errno.EINTR)
            {
                LinuxException failure = LinuxException.Last($"flock(\"{folder}\")");
                descriptor.Dispose();
                throw failure;
            }
        }

        return descriptor;
    }
}
