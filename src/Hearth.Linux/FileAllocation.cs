using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>What files take on the disk, which for a file with holes is less than its length.</summary>
public static class FileAllocation
{
    private const int BytesPerBlock = 512;

    /// <summary>The bytes allocated to a file or folder itself.</summary>
    /// <exception cref="LinuxException">It cannot be opened.</exception>
    public static unsafe long BytesOf(string path)
    {
        using FileDescriptor file = FileDescriptor.Open(path, Fcntl.O_RDONLY);
        stat_t status;
        // SAFETY: the kernel fills the structure, which is on this stack and as large as it expects (the ABI tests check).
        FileDescriptor.Check(SysStat.fstat(file.Number, &status), $"fstat(\"{path}\")");
        return status.st_blocks * BytesPerBlock;
    }
}
