using System.Globalization;
using Google.Protobuf.Collections;
using Hearth.Linux;

namespace Hearth.Programs.Agent.Containers;

/// <summary>What the guest's kernel counts of a container beside its use: <c>StatsResponse.counters</c>.</summary>
internal static class ContainerCounters
{
    private static readonly string[] s_tables = ["cpu.stat", "memory.stat", "memory.events"];
    private static readonly string[] s_numbers = ["memory.peak", "memory.swap.current", "pids.max"];

    public static void Add(MapField<string, ulong> counters, Cgroup cgroup, string? writableLayer)
    {
        foreach (string file in s_tables)
        {
            foreach ((string key, ulong value) in cgroup.ReadNumbers(file))
            {
                counters[$"{file}:{key}"] = value;
            }
        }

        foreach (string file in s_numbers)
        {
            // Not there, as swap in a guest's kernel without it: nothing of it is used.
            counters[file] = cgroup.ReadNumber(file);
        }

        foreach (string key in (string[])["rbytes", "wbytes", "rios", "wios"])
        {
            counters[$"io.stat:{key}"] = 0;
        }

        AddDisks(counters, cgroup.ReadText("io.stat"));
        AddProcesses(counters, cgroup.Pids());
        if (writableLayer is not null)
        {
            AddFileSystem(counters, writableLayer);
        }
    }

    // "254:0 rbytes=1 wbytes=2 …", a line each device: their sum.
    private static void AddDisks(MapField<string, ulong> counters, string text)
    {
        foreach (string[] pair in text.Split([' ', '\n'], StringSplitOptions.RemoveEmptyEntries).Select(static word => word.Split('=')))
        {
            if (pair.Length == 2 && counters.TryGetValue($"io.stat:{pair[0]}", out ulong sum) && ulong.TryParse(pair[1], CultureInfo.InvariantCulture, out ulong value))
            {
                counters[$"io.stat:{pair[0]}"] = sum + value;
            }
        }
    }

    private static void AddProcesses(MapField<string, ulong> counters, IReadOnlyList<int> processes)
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

    private static void AddFileSystem(MapField<string, ulong> counters, string folder)
    {
        FileSystemSize size = FileSystemSize.Of(folder);
        counters["fs.bytes"] = size.Bytes;
        counters["fs.inodes"] = size.Inodes;
        counters["fs.inodes_free"] = size.FreeInodes;
    }
}
