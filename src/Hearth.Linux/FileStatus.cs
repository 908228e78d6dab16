using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>What fstat(2) says of an open file.</summary>
public readonly record struct FileStatus(uint Mode, ulong Device, long Size)
{
    /// <summary>Its number within its file system; of a namespace, the namespace's own.</summary>
    public ulong Inode { get; init; }

    public bool IsRegular => (Mode & SysStat.S_IFMT) == SysStat.S_IFREG;

    public bool IsDirectory => (Mode & SysStat.S_IFMT) == SysStat.S_IFDIR;

    public bool IsCharacterDevice => (Mode & SysStat.S_IFMT) == SysStat.S_IFCHR;

    public static unsafe FileStatus Of(FileDescriptor file)
    {
        stat_t status;
        // SAFETY: fstat fills one struct stat on this stack.
        FileDescriptor.Check(SysStat.fstat(file.Number, &status), "fstat()");
        return new FileStatus(status.st_mode, status.st_rdev, status.st_size) { Inode = status.st_ino };
    }

    /// <summary>The magic number of the file system that an open file is on.</summary>
    public static unsafe long FileSystemOf(FileDescriptor file)
    {
        statfs_t status;
        // SAFETY: fstatfs fills one struct statfs on this stack.
        FileDescriptor.Check(SysStatfs.fstatfs(file.Number, &status), "fstatfs()");
        return status.f_type;
    }
}

/// <summary>What statfs(2) says of the file system under a path.</summary>
/// <param name="Bytes">Its size.</param>
/// <param name="Inodes">Files it can have; 0 where they are not counted.</param>
/// <param name="FreeInodes">Of these.</param>
public readonly record struct FileSystemSize(ulong Bytes, ulong Inodes, ulong FreeInodes)
{
    /// <exception cref="LinuxException">There is no such folder.</exception>
    public static unsafe FileSystemSize Of(string folder)
    {
        using FileDescriptor file = FileDescriptor.Open(folder, Fcntl.O_RDONLY | Fcntl.O_DIRECTORY);
        statfs_t status;
        // SAFETY: fstatfs fills one struct statfs on this stack.
        FileDescriptor.Check(SysStatfs.fstatfs(file.Number, &status), $"fstatfs(\"{folder}\")");
        return new FileSystemSize((ulong)status.f_blocks * (ulong)status.f_frsize, (ulong)status.f_files, (ulong)status.f_ffree);
    }
}
