using Hearth.Linux;
using Hearth.Linux.Native;

namespace Hearth.Network;

/// <summary>
/// Network namespaces that live without a process, by a bind mount on a file, as <c>ip netns</c> makes them. Thread: any.
/// Source: network_namespaces(7), ip-netns(8).
/// </summary>
public static class NetworkNamespace
{
    /// <summary>Makes a namespace with its loopback up.</summary>
    /// <param name="folder">Where its file goes; made if it is not there.</param>
    /// <param name="name">The file's name.</param>
    /// <returns>The path by which it is entered, and which plugins are given.</returns>
    /// <exception cref="HearthException">There is a file of that name already, or the kernel refuses.</exception>
    public static string Create(string folder, string name)
    {
        if (name.Length == 0 || name is "." or ".." || name.AsSpan().ContainsAny('/', '\0'))
        {
            throw new HearthException($"\"{name}\" cannot be a network namespace's name: it is a file's name, without slashes.");
        }

        Directory.CreateDirectory(folder);
        string path = Path.Combine(folder, name);
        using (FileDescriptor.Open(path, Fcntl.O_RDONLY | Fcntl.O_CREAT | Fcntl.O_EXCL | Fcntl.O_NOFOLLOW, remedy: "Is there a namespace of that name already?"))
        {
            // Only a place to mount on.
        }

        try
        {
            using FileDescriptor space = Namespaces.NewNetwork();
            Mounts.Mount(Mounts.PathOf(space), path, null, SysMount.MS_BIND);
            return path;
        }
        catch
        {
            Remove(path);
            throw;
        }
    }

    /// <summary>Removes a namespace's file; the namespace ends with its last process. One that is not there is no error.</summary>
    public static void Remove(string path)
    {
        Mounts.Detach(path);
        File.Delete(path);
    }

    /// <summary>Whether the file is a namespace: what is left of one after a reboot is an empty file.</summary>
    public static bool IsAt(string path)
    {
        const long NsfsMagic = 0x6e736673;
        if (!File.Exists(path))
        {
            return false;
        }

        using FileDescriptor file = FileDescriptor.Open(path, Fcntl.O_RDONLY);
        return FileStatus.FileSystemOf(file) == NsfsMagic;
    }

    /// <summary>
    /// Runs something in a namespace, on a thread of its own; what it opens and starts (a socket, a child process) stays
    /// there. It must not start threads or tasks: they would be there too, for good.
    /// </summary>
    /// <exception cref="HearthException">The path is no network namespace, or what <paramref name="work"/> threw, within a <see cref="LinuxThreadException"/>.</exception>
    public static T Run<T>(string path, Func<T> work)
    {
        using FileDescriptor space = FileDescriptor.Open(path, Fcntl.O_RDONLY, remedy: "It should be a network namespace.");
        return Namespaces.OnOwnThread(() =>
        {
            Namespaces.Enter(space, Sched.CLONE_NEWNET);
            return work();
        });
    }
}
