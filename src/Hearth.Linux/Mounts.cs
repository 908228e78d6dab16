using System.Text;
using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>
/// mount(2), umount2(2) and pivot_root(2). A target that lies in a file system of someone else is opened first
/// (<see cref="RootDirectory"/>) and mounted on by its descriptor. Thread: that of the mount namespace that is meant.
/// </summary>
public static class Mounts
{
    /// <summary>The path by which a descriptor can be mounted on, and from, without being resolved again. Needs /proc.</summary>
    public static string PathOf(FileDescriptor fd) => $"/proc/self/fd/{fd.Number}";

    /// <summary>What is mounted below a folder in this process's mount namespace, the last first. Source: proc_pid_mountinfo(5).</summary>
    public static IReadOnlyList<string> Below(string folder)
    {
        const int mountPoint = 4;
        string prefix = folder.TrimEnd('/') + "/";
        return
        [
            .. File.ReadAllLines("/proc/self/mountinfo")
                .Select(static line => line.Split(' '))
                .Where(static fields => fields.Length > mountPoint)
                .Select(static fields => Unescape(fields[mountPoint]))
                .Where(path => path.StartsWith(prefix, StringComparison.Ordinal))
                .Reverse(),
        ];
    }

    /// <summary>A path as the kernel's tables of mounts have it: space, tab, newline and backslash are octal there.</summary>
    internal static string Unescape(string path) =>
        path.Replace("\\040", " ").Replace("\\011", "\t").Replace("\\012", "\n").Replace("\\134", "\\");

    /// <param name="source">A device, a directory to bind, or a name that some file systems show.</param>
    /// <param name="target">Where.</param>
    /// <param name="type">The file system's type; null to bind, move or change a mount.</param>
    /// <param name="flags"><c>MS_*</c>.</param>
    /// <param name="data">The file system's own options, comma-separated.</param>
    /// <exception cref="LinuxException">The kernel refuses.</exception>
    public static void Mount(string? source, string target, string? type, uint flags, string? data = null)
    {
        if (TryMount(source, target, type, flags, data) is not Errno.None and var errno)
        {
            throw new LinuxException($"mount(\"{source}\", \"{target}\", {type ?? "bind"}, 0x{flags:x}, \"{data}\")", errno);
        }
    }

    /// <summary>As <see cref="Mount"/>, for a refusal that the caller can do without.</summary>
    public static Errno TryMount(string? source, string target, string? type, uint flags, string? data = null)
    {
        if (HasNul(source) || HasNul(target) || HasNul(type) || HasNul(data))
        {
            return Errno.EINVAL;
        }

        return SysMount.mount(source, target, type, flags, data) == 0 ? Errno.None : LinuxException.LastErrno;
    }

    /// <summary>A copy of what is at a path, mounted nowhere yet; it can be attached in another mount namespace (Linux 5.2).</summary>
    /// <param name="path">A file or directory of the calling thread's mount namespace.</param>
    /// <param name="recursive">With what is mounted below.</param>
    public static unsafe FileDescriptor Clone(string path, bool recursive)
    {
        fixed (byte* name = Encoding.UTF8.GetBytes(path + "\0"))
        {
            int flags = LinuxMount.OPEN_TREE_CLONE | Fcntl.O_CLOEXEC | (recursive ? Fcntl.AT_RECURSIVE : 0);
            // SAFETY: the path is pinned and zero-terminated; the kernel reads nothing else.
            long fd = SysSyscall.syscall(SysSyscall.SYS_open_tree, Fcntl.AT_FDCWD, (nint)name, flags, 0, 0);
            return fd >= 0 ? new FileDescriptor((int)fd) : throw LinuxException.Last($"open_tree(\"{path}\")");
        }
    }

    /// <summary>Mounts what <see cref="Clone"/> made.</summary>
    public static unsafe void Attach(FileDescriptor tree, string target)
    {
        fixed (byte* name = Encoding.UTF8.GetBytes(target + "\0"), nothing = "\0"u8)
        {
            // SAFETY: both paths are pinned and zero-terminated; the kernel reads nothing else.
            if (SysSyscall.syscall(SysSyscall.SYS_move_mount, tree.Number, (nint)nothing, Fcntl.AT_FDCWD, (nint)name, LinuxMount.MOVE_MOUNT_F_EMPTY_PATH) < 0)
            {
                throw LinuxException.Last($"move_mount(\"{target}\")");
            }
        }
    }

    /// <summary>Makes the mount at a path read-only, and leaves what else it may not do as it is. Mounts below it stay.</summary>
    public static unsafe void SetReadOnly(string target)
    {
        const uint kept = SysMount.MS_NOSUID | SysMount.MS_NODEV | SysMount.MS_NOEXEC;
        using FileDescriptor mounted = FileDescriptor.Open(target, Fcntl.O_PATH);
        statfs_t status;
        // SAFETY: fstatfs fills one struct statfs on this stack.
        FileDescriptor.Check(SysStatfs.fstatfs(mounted.Number, &status), $"fstatfs(\"{target}\")");
        Mount(null, target, null, SysMount.MS_BIND | SysMount.MS_REMOUNT | SysMount.MS_RDONLY | ((uint)status.f_flags & kept));
    }

    /// <summary>Makes the mount at a path read-only, with all that are mounted below it (Linux 5.12).</summary>
    public static unsafe void SetAllReadOnly(string target)
    {
        var attributes = new mount_attr { attr_set = LinuxMount.MOUNT_ATTR_RDONLY };
        fixed (byte* name = Encoding.UTF8.GetBytes(target + "\0"))
        {
            // SAFETY: the path is pinned and zero-terminated, the structure lives on this stack and is as long as its size says.
            if (SysSyscall.syscall(SysSyscall.SYS_mount_setattr, Fcntl.AT_FDCWD, (nint)name, Fcntl.AT_RECURSIVE, (nint)(&attributes), sizeof(mount_attr)) < 0)
            {
                throw LinuxException.Last($"mount_setattr(\"{target}\", recursive, read-only)");
            }
        }
    }

    /// <summary>Whether a mount below a folder, in the calling thread's mount namespace, can be written to. Source: proc_pid_mountinfo(5).</summary>
    public static bool HasWritableBelow(string folder)
    {
        const int mountPoint = 4, options = 5;
        string prefix = folder.TrimEnd('/') + "/";
        return File.ReadLines("/proc/thread-self/mountinfo")
            .Select(static line => line.Split(' '))
            .Any(fields => fields.Length > options
                && Unescape(fields[mountPoint]).StartsWith(prefix, StringComparison.Ordinal)
                && !fields[options].Split(',').Contains("ro"));
    }

    /// <summary>Takes a mount, and all below it, out of sight at once; it ends with its last user.</summary>
    /// <returns>False where nothing is mounted there, or nothing is there.</returns>
    public static bool Detach(string target)
    {
        if (SysMount.umount2(target, SysMount.MNT_DETACH | SysMount.UMOUNT_NOFOLLOW) == 0)
        {
            return true;
        }

        return LinuxException.LastErrno is Errno.EINVAL or Errno.ENOENT ? false : throw LinuxException.Last($"umount2(\"{target}\")");
    }

    /// <summary>
    /// Makes the directory, which must be a mount, the root of the calling thread's mount namespace, with nothing of the old
    /// root left. Source: pivot_root(2), <c>pivot_root(".", ".")</c>.
    /// </summary>
    public static unsafe void PivotRoot(FileDescriptor root)
    {
        FileDescriptor.Check(Unistd.fchdir(root.Number), "fchdir(new root)");
        fixed (byte* here = "."u8)
        {
            // SAFETY: a constant, zero-terminated by the compiler, that lives as long as the program.
            if (SysSyscall.syscall(SysSyscall.SYS_pivot_root, (nint)here, (nint)here, 0, 0, 0) < 0)
            {
                throw LinuxException.Last("pivot_root()");
            }
        }

        // The old root now lies over the new one, at ".". Made a slave first: the detaching must not reach the parent.
        Mount(null, ".", null, SysMount.MS_SLAVE | SysMount.MS_REC);
        FileDescriptor.Check(SysMount.umount2(".", SysMount.MNT_DETACH), "umount2(old root)");
        FileDescriptor.Check(Unistd.chdir("/"), "chdir(\"/\")");
    }

    private static bool HasNul(string? text) => text is not null && text.Contains('\0');
}
