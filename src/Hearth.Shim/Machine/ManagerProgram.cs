using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Oci.Runtime;

namespace Hearth.Shim.Machine;

/// <summary>
/// The program of a hook that its manager names by a process (<c>/proc/PID/exe</c>: Docker's own, which joins its network). Looking
/// into other processes is what a shim has given up, so whoever starts it opens that file for it. Thread: any; set once, at the start.
/// </summary>
internal static class ManagerProgram
{
    private const string Processes = "/proc/";

    private static FileDescriptor? s_program;
    private static string? s_path;

    /// <summary>The first such program among a bundle's hooks; null for none.</summary>
    public static string? PathOf(HooksSpec? hooks) =>
        new[] { hooks?.Prestart, hooks?.CreateRuntime, hooks?.Poststart, hooks?.Poststop }
            .SelectMany(static list => list ?? [])
            .Select(static hook => hook.Path)
            .FirstOrDefault(static path => path.StartsWith(Processes, StringComparison.Ordinal));

    /// <summary>Opens what a shim could not.</summary>
    /// <param name="path">As the bundle has it.</param>
    /// <returns>Null where there is nothing to open: what is wrong with a path is said when the hook is run.</returns>
    public static FileDescriptor? Open(string? path)
    {
        try
        {
            return path is null ? null : FileDescriptor.Open(path, Fcntl.O_PATH);
        }
        catch (LinuxException)
        {
            return null;
        }
    }

    /// <param name="path">As the bundle has it; empty for none.</param>
    /// <param name="program">What was opened, or anything else where there was nothing. Owned, to the process's end.</param>
    public static void Use(string path, FileDescriptor program)
    {
        if (path.Length == 0)
        {
            program.Dispose();
            return;
        }

        (s_path, s_program) = (path, program);
    }

    /// <summary>The path by which this process can run the program that the manager has at a path.</summary>
    public static string Enter(string path) => s_program is { } program && path == s_path ? program.Door : path;
}
