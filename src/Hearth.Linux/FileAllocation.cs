using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>What files take on the disk, which for a file with holes is less than its length.</summary>
public static class FileAllocation
{
    private const int BytesPerBlock = 512;

    /// <summary>The bytes allocated to a file, folder, link or socket itself.</summary>
    /// <exception cref="LinuxException">It is not there, or not to be reached.</exception>
    public static unsafe long BytesOf(string path)
    {
        using FileDescriptor file = FileDescriptor.Open(path, Fcntl.O_PATH | Fcntl.O_NOFOLLOW);
        stat_t status;
        // SAFETY: the kernel fills the structure, which is on this stack and as large as it expects (the ABI tests check).
        FileDescriptor.Check(SysStat.fstat(file.Number, &status), $"fstat(\"{path}\")");
        return status.st_blocks * BytesPerBlock;
    }

    /// <summary>The next piece of a file that is no hole.</summary>
    /// <param name="file">A regular file, whose position changes.</param>
    /// <param name="from">Where to look from, in bytes.</param>
    /// <returns>Its first byte, and the one after its last; null if there is nothing but a hole. Source: lseek(2), SEEK_DATA.</returns>
    public static (long Start, long End)? NextData(FileDescriptor file, long from)
    {
        long start = Unistd.lseek(file.Number, from, Unistd.SEEK_DATA);
        if (start < 0)
        {
            return LinuxException.LastErrno == Errno.ENXIO ? null : throw LinuxException.Last("lseek(SEEK_DATA)");
        }

        long end = Unistd.lseek(file.Number, start, Unistd.SEEK_HOLE);
        return end > start ? (start, end) : throw LinuxException.Last("lseek(SEEK_HOLE)");
    }
}
