using System.Diagnostics;

namespace Hearth.Lab.Tests.Pods;

/// <summary>What pods make on a host and must take away again: counted before and after.</summary>
internal sealed class HostState
{
    private static readonly string[] s_programs = ["hearth-shim", "containerd-shim-hearth-v2", "hearth-jailer", "hearth-vmm", "hearth-oci", "virtiofsd", "conmon", "crun", "runc"];

    private readonly SortedSet<string> _things;

    private HostState(SortedSet<string> things) => _things = things;

    /// <param name="folders">Folders whose every entry counts, except below a folder named images.</param>
    public static HostState Take(params string[] folders)
    {
        var things = new SortedSet<string>(StringComparer.Ordinal);
        foreach (string link in Directory.EnumerateFileSystemEntries("/sys/class/net"))
        {
            things.Add($"interface {Path.GetFileName(link)}");
        }

        foreach (string line in File.ReadLines("/proc/self/mountinfo"))
        {
            things.Add($"mount {line.Split(' ')[4]}");
        }

        foreach (string process in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(process), out int id))
            {
                AddProcess(things, id);
            }
        }

        foreach (string root in new[] { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" }.Where(Directory.Exists))
        {
            // Not that of all jails: it is made with the first one, and there for the next.
            foreach (string cgroup in Entries(root).Where(cgroup => Directory.Exists(cgroup) && cgroup != $"{root}/hearth"))
            {
                things.Add($"cgroup {cgroup}");
            }
        }

        foreach (string folder in folders.Where(Directory.Exists))
        {
            foreach (string entry in Entries(folder).Where(static entry => !IsShared(entry)))
            {
                things.Add($"file {entry}");
            }
        }

        using Process rules = Process.Start(new ProcessStartInfo("iptables-save", ["-t", "nat"]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        foreach (string line in rules.StandardOutput.ReadToEnd().Split('\n'))
        {
            if (line.StartsWith("-A", StringComparison.Ordinal))
            {
                things.Add($"rule {line}");
            }
        }

        rules.WaitForExit();
        return new HostState(things);
    }

    /// <summary>What is there now and was not in <paramref name="before"/>, a line each.</summary>
    public string Beyond(HostState before) => string.Join('\n', _things.Except(before._things));

    private static void AddProcess(SortedSet<string> things, int id)
    {
        try
        {
            string command = File.ReadAllText($"/proc/{id}/cmdline").Replace('\0', ' ');
            string name = Path.GetFileName(command.Split(' ')[0]);
            if (s_programs.Contains(name))
            {
                things.Add($"process {id} {command}");
            }

            // A zombie has no command line; its name is left.
            string stat = File.ReadAllText($"/proc/{id}/stat");
            if (command.Length == 0 && s_programs.Any(program => stat.Contains($"({program[..Math.Min(15, program.Length)]})")))
            {
                things.Add($"zombie {id} {stat.Split(' ')[1]}");
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // It ended meanwhile.
        }
    }

    // What all pods share, or what the daemon keeps about itself.
    private static bool IsShared(string path) =>
        path.Contains("/images/", StringComparison.Ordinal) || path.EndsWith("/images", StringComparison.Ordinal) ||
        Path.GetFileName(path) is var name && (name is "scratch" or "jail-users" or "boots" || path.Contains("/boots/", StringComparison.Ordinal) || name.StartsWith("template-", StringComparison.Ordinal) || name.EndsWith("-wal", StringComparison.Ordinal) || name.EndsWith("-shm", StringComparison.Ordinal) || name.EndsWith(".sock", StringComparison.Ordinal) && name.StartsWith("hearthd", StringComparison.Ordinal));

    private static IEnumerable<string> Entries(string folder)
    {
        var left = new Stack<string>([folder]);
        while (left.TryPop(out string? current))
        {
            string[] entries;
            try
            {
                entries = Directory.GetFileSystemEntries(current);
            }
            catch (IOException)
            {
                continue;
            }

            foreach (string entry in entries)
            {
                yield return entry;
                if (Directory.Exists(entry) && new DirectoryInfo(entry).LinkTarget is null)
                {
                    left.Push(entry);
                }
            }
        }
    }
}
