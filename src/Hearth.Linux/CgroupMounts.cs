namespace Hearth.Linux;

/// <summary>Where the host has its cgroups. Source: proc_pid_mounts(5). Thread: any.</summary>
public static class CgroupMounts
{
    private const string Mounts = "/proc/mounts";

    /// <summary>The mount of version 2; null if there is none.</summary>
    public static string? FindUnified() => FindUnified(File.ReadLines(Mounts));

    /// <summary>As <see cref="FindUnified()"/>, among the lines of <c>/proc/mounts</c>.</summary>
    public static string? FindUnified(IEnumerable<string> lines) => Find(lines, static (type, _) => type == "cgroup2");

    /// <summary>The mount of version 1 that has a controller; null if there is none.</summary>
    public static string? FindController(string controller) => FindController(File.ReadLines(Mounts), controller);

    /// <summary>As <see cref="FindController(string)"/>, among the lines of <c>/proc/mounts</c>.</summary>
    public static string? FindController(IEnumerable<string> lines, string controller) =>
        Find(lines, (type, options) => type == "cgroup" && options.Split(',').Contains(controller));

    private static string? Find(IEnumerable<string> lines, Func<string, string, bool> matches)
    {
        foreach (string line in lines)
        {
            // Device, mount point, type, options, 0, 0.
            string[] fields = line.Split(' ');
            if (fields.Length >= 4 && matches(fields[2], fields[3]))
            {
                return Unescape(fields[1]);
            }
        }

        return null;
    }

    // Space, tab, newline and backslash are octal there.
    private static string Unescape(string path) =>
        path.Replace("\\040", " ").Replace("\\011", "\t").Replace("\\012", "\n").Replace("\\134", "\\");
}
