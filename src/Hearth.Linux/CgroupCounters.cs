using System.Globalization;

namespace Hearth.Linux;

/// <summary>
/// What the kernel counts of a control group (v2) beside its use, by name: <c>FILE</c> or <c>FILE:KEY</c> of the group, as
/// memory.stat:file_mapped, io.stat's sums over all devices, and processes, threads, file_descriptors, sockets, fs.bytes, fs.inodes,
/// fs.inodes_free. Thread: any. Source: Documentation/admin-guide/cgroup-v2.rst.
/// </summary>
public static class CgroupCounters
{
    private static readonly string[] s_tables = ["cpu.stat", "memory.stat", "memory.events"];
    private static readonly string[] s_numbers = ["memory.peak", "memory.swap.current", "pids.max"];
    private static readonly string[] s_disks = ["rbytes", "wbytes", "rios", "wios"];

    /// <param name="folder">The group's. What is not in it is 0 (swap in a kernel without it: nothing of it is used), or is left out.</param>
    /// <param name="processes">Those of the group, as /proc here has them.</param>
    /// <param name="writable">A folder of the file system that they write to; null for none.</param>
    public static Dictionary<string, ulong> Of(string folder, IReadOnlyCollection<int> processes, string? writable)
    {
        var counters = new Dictionary<string, ulong>(StringComparer.Ordinal);
        foreach (string file in s_tables)
        {
            foreach (string[] pair in Read(folder, file).Split('\n').Select(static line => line.Split(' ')))
            {
                if (pair.Length == 2 && ulong.TryParse(pair[1], CultureInfo.InvariantCulture, out ulong value))
                {
                    counters[$"{file}:{pair[0]}"] = value;
                }
            }
        }

        foreach (string file in s_numbers)
        {
            // "max" is no limit: 0.
            counters[file] = ulong.TryParse(Read(folder, file).AsSpan().Trim(), CultureInfo.InvariantCulture, out ulong value) ? value : 0;
        }

        AddDisks(counters, Read(folder, "io.stat"));
        AddProcesses(counters, processes);
        if (writable is not null)
        {
            FileSystemSize size = FileSystemSize.Of(writable);
            counters["fs.bytes"] = size.Bytes;
            counters["fs.inodes"] = size.Inodes;
            counters["fs.inodes_free"] = size.FreeInodes;
        }

        return counters;
    }

    // "254:0 rbytes=1 wbytes=2 …", a line each device: their sum.
    private static void AddDisks(Dictionary<string, ulong> counters, string text)
    {
        foreach (string key in s_disks)
        {
            counters[$"io.stat:{key}"] = 0;
        }

        foreach (string[] pair in text.Split([' ', '\n'], StringSplitOptions.RemoveEmptyEntries).Select(static word => word.Split('=')))
        {
            if (pair.Length == 2 && counters.TryGetValue($"io.stat:{pair[0]}", out ulong sum) && ulong.TryParse(pair[1], CultureInfo.InvariantCulture, out ulong value))
            {
                counters[$"io.stat:{pair[0]}"] = sum + value;
            }
        }
    }

    private static void AddProcesses(Dictionary<string, ulong> counters, IReadOnlyCollection<int> processes)
    {
        ulong threads = 0, descriptors = 0, sockets = 0;
        foreach (int process in processes)
        {
            try
            {
                threads += (ulong)Directory.GetDirectories($"/proc/{process}/task").Length;
                foreach (string descriptor in Directory.EnumerateFileSystemEntries($"/proc/{process}/fd"))
                {
                    descriptors++;
                    sockets += new FileInfo(descriptor).LinkTarget?.StartsWith("socket:", StringComparison.Ordinal) == true ? 1UL : 0;
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // It has just ended.
            }
        }

        counters["processes"] = (ulong)processes.Count;
        counters["threads"] = threads;
        counters["file_descriptors"] = descriptors;
        counters["sockets"] = sockets;
    }

    // Empty where there is no such file, or the group has just gone.
    private static string Read(string folder, string file)
    {
        try
        {
            return File.ReadAllText(Path.Combine(folder, file));
        }
        catch (IOException)
        {
            return "";
        }
    }
}
