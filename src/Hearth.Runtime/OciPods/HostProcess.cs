using System.Globalization;
using Hearth.Linux;

namespace Hearth.Runtime.OciPods;

/// <summary>Processes of the host by their numbers, which may be another's by now. Thread: any.</summary>
internal static class HostProcess
{
    private const int SigKill = 9;

    /// <summary>A number that somebody wrote into a file; 0 if there is none.</summary>
    public static int ReadPid(string path)
    {
        try
        {
            return int.TryParse(File.ReadAllText(path).Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out int pid) ? pid : 0;
        }
        catch (IOException)
        {
            return 0;
        }
    }

    /// <summary>Opens a process if it is still the one whose command line has this word.</summary>
    public static FileDescriptor? TryOpen(int pid, string word)
    {
        if (pid <= 0)
        {
            return null;
        }

        FileDescriptor? process = null;
        try
        {
            // Opened first: what is read then is of this process, or of nobody.
            process = ChildProcess.OpenPidfd(pid);
            if (File.ReadAllText($"/proc/{pid}/cmdline").Split('\0').Contains(word, StringComparer.Ordinal))
            {
                return process;
            }
        }
        catch (Exception e) when (e is LinuxException or IOException)
        {
            // It has ended.
        }

        process?.Dispose();
        return null;
    }

    public static void Kill(int pid)
    {
        if (pid <= 0)
        {
            return;
        }

        try
        {
            using FileDescriptor process = ChildProcess.OpenPidfd(pid);
            ChildProcess.Signal(process, SigKill);
        }
        catch (LinuxException)
        {
            // It has ended.
        }
    }
}
