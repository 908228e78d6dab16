using System.Globalization;

namespace Hearth.Programs.Oci;

/// <summary>A process of this host, by its number and its start, which together are one process's alone.</summary>
internal static class HostProcess
{
    /// <summary>Whether a process's parent has ended, and with it whoever would have removed the container.</summary>
    /// <param name="stat">Its /proc/PID/stat.</param>
    public static bool IsOrphan(string stat) => Fields(stat)[4 - 3] == "1";

    /// <summary>When it started; empty for one that is gone, or has ended and was not waited for.</summary>
    public static string StartOf(int pid) => FieldsOf(pid) is [not ("Z" or "X"), ..] fields ? fields[22 - 3] : "";

    /// <summary>Whether it runs.</summary>
    public static bool IsThere(ContainerState state) => state.Pid > 0 && state.PidStart.Length > 0 && StartOf(state.Pid) == state.PidStart;

    /// <summary>Whether it runs, or has ended and its parent does not know that yet.</summary>
    public static bool IsAwaited(ContainerState state) => state.Pid > 0 && FieldsOf(state.Pid) is { Length: > 0 } fields && fields[22 - 3] == state.PidStart;

    private static string[] FieldsOf(int pid)
    {
        try
        {
            return Fields(File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/stat")));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    // Those after the name, which may have spaces: state is field 3, the parent 4, the start 22.
    private static string[] Fields(string stat) => stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
}
