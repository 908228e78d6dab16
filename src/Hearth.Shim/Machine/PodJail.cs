namespace Hearth.Shim.Machine;

/// <summary>What holds a pod's monitor, as the kernel says it of the process that runs. Source: proc_pid_status(5).</summary>
public sealed record PodJail
{
    public required uint User { get; init; }

    public required uint Group { get; init; }

    /// <summary>Its root directory on the host.</summary>
    public required string Root { get; init; }

    /// <summary>The directories of its cgroup; none where the host has none.</summary>
    public required IReadOnlyList<string> Cgroups { get; init; }

    /// <summary>Bytes; 0 for no limit.</summary>
    public required long MemoryLimit { get; init; }

    /// <summary>The path of its network namespace; empty for one that was made for it alone.</summary>
    public required string NetworkNamespace { get; init; }

    /// <summary>It is process 1 of a PID namespace of its own.</summary>
    public required bool PidNamespace { get; init; }

    /// <summary>Its threads that run under a seccomp filter.</summary>
    public required int FilteredThreads { get; init; }

    /// <summary>Its threads.</summary>
    public required int Threads { get; init; }

    public required bool NoNewPrivileges { get; init; }

    /// <summary>Hexadecimal: what it may have at most, which is nothing.</summary>
    public required string Capabilities { get; init; }

    /// <summary>Looks at a process.</summary>
    /// <returns>Null if it has ended.</returns>
    internal static PodJail? Of(int pid, MonitorJail jail, JailCgroup? cgroup, string? networkNamespace)
    {
        string[] status = JailCgroup.TryRead($"/proc/{pid}/status").Split('\n');
        if (status.Length < 2)
        {
            return null;
        }

        string[] threads;
        try
        {
            threads = Directory.GetDirectories($"/proc/{pid}/task");
        }
        catch (IOException)
        {
            return null;
        }

        return new PodJail
        {
            User = uint.TryParse(First(status, "Uid"), out uint user) ? user : 0,
            Group = uint.TryParse(First(status, "Gid"), out uint group) ? group : 0,
            Root = jail.Root,
            Cgroups = cgroup?.Folders ?? [],
            MemoryLimit = cgroup?.MemoryBytes ?? 0,
            NetworkNamespace = networkNamespace ?? "",
            PidNamespace = Fields(status, "NSpid") is [_, .., "1"],
            Threads = threads.Length,
            FilteredThreads = threads.Count(static thread => First(JailCgroup.TryRead($"{thread}/status").Split('\n'), "Seccomp") == "2"),
            NoNewPrivileges = First(status, "NoNewPrivs") == "1",
            Capabilities = First(status, "CapBnd"),
        };
    }

    private static string First(string[] status, string name) => Fields(status, name) is [var first, ..] ? first : "";

    private static string[] Fields(string[] status, string name) =>
        status.FirstOrDefault(line => line.StartsWith(name + ":", StringComparison.Ordinal))?[(name.Length + 1)..].Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries) ?? [];
}
