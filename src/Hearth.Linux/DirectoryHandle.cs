using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>
/// A directory in which every name is one component and is never followed: who may write into it cannot lead its user
/// elsewhere by links, nor by swapping names while they are used. Thread: any.
/// </summary>
public sealed unsafe class DirectoryHandle : IDisposable
{
    private const int CopyBytes = 1 << 20;

    private DirectoryHandle(FileDescriptor descriptor, string path)
    {
        Descriptor = descriptor;
        Path = path;
    }

    public FileDescriptor Descriptor { get; }

    /// <summary>For messages; it may have been renamed since.</summary>
    public string Path { get; }

    /// <summary>Opens a directory whose path the caller trusts.</summary>
    /// <exception cref="LinuxException">There is none.</exception>
    public static DirectoryHandle Open(string path) =>
        new(FileDescriptor.Open(path, Fcntl.O_RDONLY | Fcntl.O_DIRECTORY), path);

    /// <summary>Whether a text can be a name in a directory, and nothing else.</summary>
    public static bool IsName(string text) => text is not ("" or "." or "..") && text.Length <= 255 && !text.AsSpan().ContainsAny('/', '\0');

    /// <summary>Opens a directory in here.</summary>
    public DirectoryHandle OpenDirectory(string name) => new(
        new FileDescriptor(FileDescriptor.Check(
            Fcntl.openat(Descriptor.Number, Checked(name), Fcntl.O_RDONLY | Fcntl.O_DIRECTORY | Fcntl.O_NOFOLLOW | Fcntl.O_CLOEXEC, 0),
            $"open(\"{Path}/{name}\")",
            "It must be a directory, and no symbolic link.")),
        $"{Path.TrimEnd('/')}/{name}");

    /// <summary>Makes a directory in here, unless it is there, and opens it.</summary>
    public DirectoryHandle MakeDirectory(string name, uint mode)
    {
        if (SysStat.mkdirat(Descriptor.Number, Checked(name), mode) < 0 && LinuxException.LastErrno != Errno.EEXIST)
        {
            throw LinuxException.Last($"mkdir(\"{Path}/{name}\")");
        }

        return OpenDirectory(name);
    }

    /// <summary>Makes a new file, instead of what file, link or device there may be, open for writing.</summary>
    public FileDescriptor ReplaceFile(string name, uint mode)
    {
        Remove(name);
        return new FileDescriptor(FileDescriptor.Check(
            Fcntl.openat(Descriptor.Number, name, Fcntl.O_WRONLY | Fcntl.O_CREAT | Fcntl.O_EXCL | Fcntl.O_NOFOLLOW | Fcntl.O_CLOEXEC, mode),
            $"open(\"{Path}/{name}\", O_CREAT | O_EXCL)"));
    }

    /// <summary>Makes a device node, instead of what file, link or device there may be.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="mode">Type and permissions.</param>
    /// <param name="device">From <see cref="RootDirectory.Device"/>.</param>
    /// <param name="owner">User id.</param>
    /// <param name="group">Group id.</param>
    public void ReplaceNode(string name, uint mode, ulong device, uint owner, uint group)
    {
        Remove(name);
        FileDescriptor.Check(SysStat.mknodat(Descriptor.Number, name, mode, device), $"mknod(\"{Path}/{name}\")", "It needs CAP_MKNOD.");
        FileDescriptor.Check(Unistd.fchownat(Descriptor.Number, name, owner, group, Fcntl.AT_SYMLINK_NOFOLLOW), $"chown(\"{Path}/{name}\")");
    }

    /// <summary>Gives the directory itself an owner and permissions.</summary>
    public void SetOwner(uint owner, uint group, uint mode)
    {
        FileDescriptor.Check(Unistd.fchown(Descriptor.Number, owner, group), $"chown(\"{Path}\")");
        FileDescriptor.Check(SysStat.fchmod(Descriptor.Number, mode), $"chmod(\"{Path}\")");
    }

    /// <summary>Copies all of a file, within the kernel where that can.</summary>
    public static void Copy(FileDescriptor from, FileDescriptor to)
    {
        nint count;
        do
        {
            // SAFETY: no pointer is passed: both descriptors' own offsets are used.
            count = Unistd.copy_file_range(from.Number, null, to.Number, null, CopyBytes << 4, 0);
        }
        while (count > 0 || (count < 0 && LinuxException.LastErrno == Errno.EINTR));
        if (count == 0)
        {
            return;
        }

        // Across file systems, or of a kind that cannot (EXDEV, EINVAL, ENOSYS): by way of here, from where it stopped.
        byte[] buffer = new byte[CopyBytes];
        int length;
        while ((length = Polling.Read(from, buffer)) > 0)
        {
            Pipe.WriteAll(to, buffer.AsSpan(0, length));
        }

        FileDescriptor.Check(length, "read()");
    }

    public void Dispose() => Descriptor.Dispose();

    private void Remove(string name)
    {
        if (Unistd.unlinkat(Descriptor.Number, Checked(name), 0) < 0 && LinuxException.LastErrno != Errno.ENOENT)
        {
            throw LinuxException.Last($"unlink(\"{Path}/{name}\")");
        }
    }

    private string Checked(string name) =>
        IsName(name) ? name : throw new LinuxException($"open(\"{Path}/…\")", Errno.EINVAL, "One name is needed, without slashes.");
}
