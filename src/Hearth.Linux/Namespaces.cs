using Hearth.Linux.Native;
using Hearth.Linux.Netlink;

namespace Hearth.Linux;

/// <summary>unshare(2) and setns(2): they concern the calling thread, and the processes that it starts.</summary>
public static class Namespaces
{
    /// <summary>Whether a file is the network namespace that this process began in, whatever its name is. No file is none.</summary>
    public static bool IsOwnNetwork(string path) => IsOwn(path, "net");

    /// <summary>Whether a path is a namespace that this process is in.</summary>
    /// <param name="path">Of the namespace; nothing there is none.</param>
    /// <param name="kind">As below /proc/self/ns: <c>pid</c>.</param>
    /// <exception cref="LinuxException">It cannot be looked at.</exception>
    public static bool IsOwn(string path, string kind)
    {
        if (!File.Exists(path))
        {
            return false;
        }

        using FileDescriptor named = FileDescriptor.Open(path, Fcntl.O_RDONLY);
        using FileDescriptor own = FileDescriptor.Open($"/proc/self/ns/{kind}", Fcntl.O_RDONLY);
        return FileStatus.FileSystemOf(named) == FileStatus.FileSystemOf(own) && FileStatus.Of(named).Inode == FileStatus.Of(own).Inode;
    }

    /// <summary>The kind of namespace that a path is, whatever its name: one of <c>CLONE_NEW*</c> of <see cref="Sched"/>; 0 for another file, null for none.</summary>
    public static int? KindOf(string path)
    {
        if (!File.Exists(path))
        {
            return null;
        }

        using FileDescriptor named = FileDescriptor.Open(path, Fcntl.O_RDONLY);
        return Math.Max(0, Fcntl.ioctl(named.Number, LinuxNsfs.NS_GET_NSTYPE, 0));
    }

    /// <summary>The number of a namespace, which no other has as long as somebody is in it.</summary>
    /// <exception cref="LinuxException">There is nothing at the path.</exception>
    public static ulong InodeOf(string path)
    {
        using FileDescriptor space = FileDescriptor.Open(path, Fcntl.O_RDONLY, remedy: "It should be a namespace.");
        return FileStatus.Of(space).Inode;
    }

    /// <param name="kinds"><c>CLONE_NEW*</c> of <see cref="Sched"/>.</param>
    public static void Unshare(int kinds) => FileDescriptor.Check(Sched.unshare(kinds), $"unshare(0x{kinds:x})");

    /// <summary>Enters namespaces of the process of a pidfd, all or none (Linux 5.8).</summary>
    public static void Join(FileDescriptor process, int kinds) =>
        FileDescriptor.Check(Sched.setns(process.Number, kinds), $"setns(0x{kinds:x})", "Has the process ended?");

    /// <summary>Enters the namespace that a file of /proc/PID/ns stands for, or what it is bound to.</summary>
    public static void Enter(FileDescriptor space, int kind) =>
        FileDescriptor.Check(Sched.setns(space.Number, kind), $"setns(0x{kind:x})");

    /// <summary>Makes a network namespace with its loopback up, which lives as long as it is open, bound to a file, or a process is in it.</summary>
    /// <exception cref="HearthException">The kernel refuses.</exception>
    public static FileDescriptor NewNetwork() => OnOwnThread(static () =>
    {
        Unshare(Sched.CLONE_NEWNET);
        using var routes = new RouteSocket();
        routes.SetUp(RouteSocket.IndexOf("lo"));
        return FileDescriptor.Open("/proc/thread-self/ns/net", Fcntl.O_RDONLY);
    });

    /// <summary>
    /// Runs something on a thread of its own that ends with it, so that what it does to its namespaces stays with it. It must
    /// start no threads: in a foreign pid namespace the kernel refuses them.
    /// </summary>
    public static T OnOwnThread<T>(Func<T> work)
    {
        T result = default!;
        Exception? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                result = work();
            }
            catch (Exception e)
            {
                failure = e;
            }
        });
        thread.Start();
        thread.Join();
        return failure is null ? result : throw new LinuxThreadException(failure);
    }
}

/// <summary>What a thread of <see cref="Namespaces.OnOwnThread"/> threw.</summary>
public sealed class LinuxThreadException(Exception cause) : HearthException(cause.Message, cause);
