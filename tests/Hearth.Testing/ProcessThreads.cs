using System.Globalization;

namespace Hearth.Testing;

/// <summary>What the kernel says of a process's threads. Source: proc_pid_status(5).</summary>
public static class ProcessThreads
{
    /// <summary>The lines of each thread's status.</summary>
    public static string[][] StatusesOf(int pid) => Read(Directory.GetDirectories(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/task")));

    /// <summary>As <see cref="StatusesOf"/>, of threads that were listed before. One that has ended meanwhile has none.</summary>
    public static string[][] Read(IEnumerable<string> tasks)
    {
        var statuses = new List<string[]>();
        foreach (string task in tasks)
        {
            try
            {
                statuses.Add(File.ReadAllLines($"{task}/status"));
            }
            catch (IOException)
            {
                // It has ended.
            }
        }

        return [.. statuses];
    }
}
