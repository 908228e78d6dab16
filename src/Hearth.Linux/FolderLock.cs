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

    /// <summary>As <see cref="Take"/>, without a wait, of a folder that whoever has it may be taking away.</summary>
    /// <returns>Null while somebody has it, and where there is no such folder (any more).</returns>
    public static FileDescriptor? TryTake(string folder)
    {
        FileDescriptor? descriptor = null;
        try
        {
            descriptor = FileDescriptor.Open(folder, Fcntl.O_RDONLY | Fcntl.O_DIRECTORY);
            if (SysFile.flock(descriptor.Number, SysFile.LOCK_EX | SysFile.LOCK_NB) == 0)
            {
                // It may have been another's, and gone, in between.
                using FileDescriptor now = FileDescriptor.Open(folder, Fcntl.O_PATH | Fcntl.O_DIRECTORY);
                if (FileStatus.Of(descriptor).Inode == FileStatus.Of(now).Inode)
                {
                    return descriptor;
                }
            }
        }
        catch (LinuxException e) when (e.Errno == Errno.ENOENT)
        {
            // Gone.
        }

        descriptor?.Dispose();
        return null;
    }
}
