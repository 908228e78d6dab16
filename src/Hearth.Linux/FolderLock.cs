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

    /// <summary>As <see cref="Take"/>, where who has it may be taking the folder away.</summary>
    /// <returns>Null where there is no such folder, or none any more when its turn comes.</returns>
    public static FileDescriptor? TryTake(string folder)
    {
        try
        {
            while (true)
            {
                FileDescriptor taken = Take(folder);
                try
                {
                    using FileDescriptor now = FileDescriptor.Open(folder, Fcntl.O_PATH | Fcntl.O_DIRECTORY);
                    if (FileStatus.Of(taken).Inode == FileStatus.Of(now).Inode)
                    {
                        return taken;
                    }
                }
                catch
                {
                    taken.Dispose();
                    throw;
                }

                taken.Dispose();
            }
        }
        catch (LinuxException e) when (e.Errno == Errno.ENOENT)
        {
            return null;
        }
    }
}
