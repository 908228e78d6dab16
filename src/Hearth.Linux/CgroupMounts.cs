namespace Hearth.Linux;

/// <summary>Where the host has its cgroups. Source: proc_pid_mounts(5). Thread: any.</summary>
public static class CgroupMounts
{
    private const string Table = "/proc/mounts";

    /// <summary>The controllers that what serves a pod is limited by.</summary>
    public static IReadOnlyList<string> PodControllers { get; } = ["memory", "pids", "cpu"];

    /// <summary>
    /// Which version has <see cref="PodControllers"/>, and where each of those that there are is mounted: version 2, unless it has fewer of
    /// them than version 1, as on a host that mounts both.
    /// </summary>
    /// <param name="lines">Of <c>/proc/mounts</c>.</param>
    /// <param name="read">Reads a file; empty where there is none.</param>
    public static (int Version, IReadOnlyDictionary<string, string> Mounts) FindPodControllers(IReadOnlyList<string> lines, Func<string, string> read)
    {
        Dictionary<string, string> unified = [];
        if (FindUnified(lines) is { } mount)
        {
            string[] available = read($"{mount}/cgroup.controllers").Split((char[])[' ', '\n']);
            unified = PodControllers.Where(available.Contains).ToDictionary(static controller => controller, _ => mount);
        }

        Dictionary<string, string> split = [];
        foreach (string controller in PodControllers)
        {
            if (FindController(lines, controller) is { } own)
            {
                split[controller] = own;
            }
        }

        return split.Count > unified.Count ? (1, split) : (2, unified);
    }

    /// <summary>The mount of version 2; null if there is none.</summary>
    public static string? FindUnified() => FindUnified(File.ReadLines(Table));

    /// <summary>As <see cref="FindUnified()"/>, among the lines of <c>/proc/mounts</c>.</summary>
    public static string? FindUnified(IEnumerable<string> lines) => Find(lines, static (type, _) => type == "cgroup2");

    /// <summary>The mount of version 1 that has a controller; null if there is none.</summary>
    public static string? FindController(string controller) => FindController(File.ReadLines(Table), controller);

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
                return Mounts.Unescape(fields[1]);
            }
        }

        return null;
    }
}
