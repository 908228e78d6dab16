using System.Text;
using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>
/// A directory whose content is someone else's, as the root of all paths: no symbolic link and no <c>..</c> leads out of
/// it. Thread: any. Source: openat2(2), RESOLVE_IN_ROOT (Linux 5.6).
/// </summary>
public sealed unsafe class RootDirectory : IDisposable
{
    private const int MaxPath = 4096;
    private const int MaxLinks = 40;

    private readonly FileDescriptor _root;

    public RootDirectory(string path)
    {
        _root = FileDescriptor.Open(path, Fcntl.O_PATH | Fcntl.O_DIRECTORY);
    }

    public FileDescriptor Descriptor => _root;

    /// <summary>Opens a path in here.</summary>
    /// <exception cref="LinuxException">It cannot be opened, or is no path.</exception>
    public FileDescriptor Open(string path, int flags, uint mode = 0) =>
        TryOpen(path, flags, mode) ?? throw LinuxException.Last($"openat2(\"{path}\")");

    /// <summary>As <see cref="Open"/>; null, and the error in <see cref="LinuxException.LastErrno"/>, if it cannot be.</summary>
    public FileDescriptor? TryOpen(string path, int flags, uint mode = 0)
    {
        if (path.Contains('\0') || path.Length > MaxPath)
        {
            throw new LinuxException($"openat2(\"{path.Replace('\0', '?')[..Math.Min(path.Length, 80)]}\")", Errno.EINVAL, "This is no path.");
        }

        byte[] name = Encoding.UTF8.GetBytes(path + "\0");
        var how = new open_how { flags = (ulong)(uint)(flags | Fcntl.O_CLOEXEC), mode = mode, resolve = LinuxOpenat2.RESOLVE_IN_ROOT | LinuxOpenat2.RESOLVE_NO_MAGICLINKS };
        while (true)
        {
            fixed (byte* p = name)
            {
                // SAFETY: `name` is pinned and zero-terminated, `how` lives on this stack and is as long as its size says.
                long fd = SysSyscall.syscall(SysSyscall.SYS_openat2, _root.Number, (nint)p, (nint)(&how), sizeof(open_how), 0);
                if (fd >= 0)
                {
                    return new FileDescriptor((int)fd);
                }
            }

            // EAGAIN: someone renamed something on the way; the kernel asks to be asked again.
            if (LinuxException.LastErrno is not (Errno.EINTR or Errno.EAGAIN))
            {
                return null;
            }
        }
    }

    /// <summary>Makes a directory and its parents; what is there already stays. The directory, opened with O_PATH.</summary>
    public FileDescriptor MakeDirectories(string path, uint mode = 0x1ed) => MakeDirectories(path, mode, MaxLinks);

    private FileDescriptor MakeDirectories(string path, uint mode, int links)
    {
        FileDescriptor? found = TryOpen(path, Fcntl.O_PATH | Fcntl.O_DIRECTORY);
        if (found is not null)
        {
            return found;
        }

        if (LinuxException.LastErrno != Errno.ENOENT)
        {
            throw LinuxException.Last($"openat2(\"{path}\")");
        }

        (string parent, string name) = Split(path);
        using FileDescriptor directory = MakeDirectories(parent, mode, links);
        if (SysStat.mkdirat(directory.Number, name, mode) < 0)
        {
            // A link that leads nowhere yet: what it leads to is made, in here.
            if (LinuxException.LastErrno != Errno.EEXIST || ReadLink(directory, name) is not { } target || links == 0)
            {
                throw LinuxException.Last($"mkdirat(\"{path}\")");
            }

            MakeDirectories(target.StartsWith('/') ? target : $"{parent}/{target}", mode, links - 1).Dispose();
        }

        return Open(path, Fcntl.O_PATH | Fcntl.O_DIRECTORY);
    }

    /// <summary>Makes an empty file, and its parents, where nothing is. The file, opened with O_PATH.</summary>
    public FileDescriptor MakeFile(string path)
    {
        FileDescriptor? found = TryOpen(path, Fcntl.O_PATH);
        if (found is not null)
        {
            return found;
        }

        (string parent, string name) = Split(path);
        using FileDescriptor directory = MakeDirectories(parent);
        if (SysStat.mknodat(directory.Number, name, SysStat.S_IFREG | 0x1a4, 0) < 0 && LinuxException.LastErrno != Errno.EEXIST)
        {
            throw LinuxException.Last($"mknodat(\"{path}\")");
        }

        return Open(path, Fcntl.O_PATH);
    }

    /// <summary>Makes a device or FIFO, instead of what there may be.</summary>
    /// <param name="path">Where.</param>
    /// <param name="mode">Type and permissions.</param>
    /// <param name="device">From <see cref="Device"/>.</param>
    /// <param name="owner">User id.</param>
    /// <param name="group">Group id.</param>
    public void MakeNode(string path, uint mode, ulong device, uint owner = 0, uint group = 0)
    {
        (string parent, string name) = Split(path);
        using FileDescriptor directory = MakeDirectories(parent);
        _ = Unistd.unlinkat(directory.Number, name, 0);
        FileDescriptor.Check(SysStat.mknodat(directory.Number, name, mode, device), $"mknodat(\"{path}\")");
        FileDescriptor.Check(Unistd.fchownat(directory.Number, name, owner, group, 0x100), $"fchownat(\"{path}\")");
    }

    /// <summary>Makes a symbolic link, unless something is there.</summary>
    public void MakeLink(string target, string path)
    {
        (string parent, string name) = Split(path);
        using FileDescriptor directory = MakeDirectories(parent);
        if (Unistd.symlinkat(target, directory.Number, name) < 0 && LinuxException.LastErrno != Errno.EEXIST)
        {
            throw LinuxException.Last($"symlinkat(\"{path}\")");
        }
    }

    /// <summary>The bytes of a regular file; null if there is none, or it is no regular file or longer than <paramref name="most"/>.</summary>
    public byte[]? ReadFile(string path, int most)
    {
        // O_NONBLOCK: an image may have a FIFO there, whose opening would wait for ever.
        using FileDescriptor? file = TryOpen(path, Fcntl.O_RDONLY | Fcntl.O_NONBLOCK | Fcntl.O_NOCTTY);
        if (file is null)
        {
            return null;
        }

        FileStatus status = FileStatus.Of(file);
        if (!status.IsRegular || status.Size > most)
        {
            return null;
        }

        byte[] content = new byte[most];
        int length = 0;
        while (length < most)
        {
            int count = Polling.Read(file, content.AsSpan(length));
            if (count <= 0)
            {
                break;
            }

            length += count;
        }

        return content[..length];
    }

    /// <summary>A device number. Source: gnu_dev_makedev(3).</summary>
    public static ulong Device(ulong major, ulong minor) =>
        ((major & 0xfff) << 8) | ((major & ~0xffful) << 32) | (minor & 0xff) | ((minor & ~0xfful) << 12);

    public void Dispose() => _root.Dispose();

    private static string? ReadLink(FileDescriptor directory, string name)
    {
        byte[] target = new byte[MaxPath];
        fixed (byte* p = target)
        {
            // SAFETY: the array is pinned and its length is passed along.
            nint length = Unistd.readlinkat(directory.Number, name, p, MaxPath);
            return length > 0 ? Encoding.UTF8.GetString(target, 0, (int)length) : null;
        }
    }

    private static (string Parent, string Name) Split(string path)
    {
        string trimmed = path.TrimEnd('/');
        int slash = trimmed.LastIndexOf('/');
        string name = trimmed[(slash + 1)..];
        if (name is "" or "." or ".." || name.Contains('\0'))
        {
            throw new LinuxException($"openat2(\"{path}\")", Errno.EINVAL, "The path must end in a name.");
        }

        return (slash <= 0 ? "/" : trimmed[..slash], name);
    }
}
