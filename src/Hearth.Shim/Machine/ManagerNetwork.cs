using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Network;

namespace Hearth.Shim.Machine;

/// <summary>
/// The pod's network namespace where its manager names it by a process (<c>/proc/PID/ns/net</c>: Docker, ctr, hearth-oci for a
/// container without a network). Looking into other processes is what a shim has given up, so whoever starts it opens
/// that file for it. Thread: any; set at the start, or when the machine is made.
/// </summary>
internal static class ManagerNetwork
{
    private const string Processes = "/proc/";

    private static FileDescriptor? s_space;

    /// <summary>Opens what a shim could not.</summary>
    /// <param name="path">As the bundle has it.</param>
    /// <returns>Null where there is nothing to open: what is wrong with a path is said when the pod is made.</returns>
    public static FileDescriptor? Open(string? path)
    {
        if (path is null || !path.StartsWith(Processes, StringComparison.Ordinal))
        {
            return null;
        }

        try
        {
            return FileDescriptor.Open(path, Fcntl.O_RDONLY);
        }
        catch (LinuxException)
        {
            return null;
        }
    }

    /// <param name="space">The namespace, or anything else where there was nothing to open. Owned, to the process's end.</param>
    public static void Use(FileDescriptor space)
    {
        if (NetworkNamespace.IsAt(space.Door))
        {
            s_space = space;
        }
        else
        {
            space.Dispose();
        }
    }

    /// <summary>
    /// Makes a namespace, its loopback up, for a pod whose manager names none. It lives as long as a process does that is in it or has it open: the
    /// manager finds it by the monitor's number.
    /// </summary>
    /// <returns>The path by which it is entered.</returns>
    public static string MakeOwn()
    {
        FileDescriptor made = Namespaces.NewNetwork();
        s_space?.Dispose();
        s_space = made;
        return made.Door;
    }

    /// <summary>Whether a manager may move interfaces into a pod's namespace when its machine runs: it has made it for this pod alone, or left it to the shim.</summary>
    public static bool ComesLater(string? path) => path is null || path.StartsWith(Processes, StringComparison.Ordinal);

    /// <summary>The path by which this process, and those that it starts, get into the namespace that the manager has at a path.</summary>
    public static string Enter(string path) => s_space is { } space && path.StartsWith(Processes, StringComparison.Ordinal) ? space.Door : path;
}
