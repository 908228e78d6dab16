using System.Text;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Network.Pods;

namespace Hearth.Shim.Machine;

/// <summary>What is left of a machine on the host when its processes have nobody any more.</summary>
internal static class MachineRemains
{
    /// <summary>Gives back what is no process. What is gone already is no error.</summary>
    public static async Task RemoveAsync(string folder, MachineRecord record)
    {
        foreach (string? file in (string?[])[record.ScratchDisk, record.JailUser, .. record.RootImages])
        {
            if (File.Exists(file))
            {
                File.Delete(file);
            }
        }

        if (record.NetworkNamespace is { } space)
        {
            await PodNetwork.DetachAsync(ManagerNetwork.Enter(space)).ConfigureAwait(false);
        }

        foreach (string cgroup in record.Cgroups)
        {
            await JailCgroup.RemoveAsync(cgroup).ConfigureAwait(false);
        }

        foreach (string cgroup in record.ManagerCgroups)
        {
            JailCgroup.Leave(cgroup);
        }

        PodFolder.Delete(folder);
    }

    /// <summary>Ends processes that a shim has left behind.</summary>
    public static async Task EndAsync(string folder, MachineRecord record)
    {
        foreach (ProcessRecord process in record.Processes.Concat(FindUnwritten(folder)))
        {
            await EndAsync(process).ConfigureAwait(false);
        }
    }

    /// <summary>Kills a process, and waits for its end. It being gone already is no error.</summary>
    /// <exception cref="HearthException">It does not end.</exception>
    public static async Task EndAsync(ProcessRecord process)
    {
        FileDescriptor pidfd;
        try
        {
            pidfd = ChildProcess.OpenPidfd(process.Pid);
        }
        catch (LinuxException)
        {
            return;
        }

        using (pidfd)
        {
            // Looked at after the descriptor is there: it is that process, or none.
            if (HostProcess.StartTimeOf(process.Pid) != process.StartTime)
            {
                return;
            }

            ChildProcess.Signal(pidfd, Signals.SIGKILL);
            const int mostMs = 10_000;
            if (!await Task.Run(() => Polling.WaitReadable(pidfd, mostMs)).ConfigureAwait(false))
            {
                throw new HearthException($"Process {process.Pid}, left behind by a shim, did not end within {mostMs / 1000} s of being killed: clean up again later.");
            }
        }
    }

    // A shim may die between a start and its writing it down: then the process's arguments name the folder.
    private static IEnumerable<ProcessRecord> FindUnwritten(string folder)
    {
        byte[] named = Encoding.UTF8.GetBytes(folder + "/");
        foreach (string entry in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(entry), out int pid) || pid == Environment.ProcessId || HostProcess.StartTimeOf(pid) is not { } start)
            {
                continue;
            }

            byte[] arguments;
            try
            {
                arguments = File.ReadAllBytes($"{entry}/cmdline");
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                continue;
            }

            if (IsOurs(arguments, named))
            {
                yield return new ProcessRecord(pid, start);
            }
        }
    }

    // `--api-sock FOLDER/api.sock`, `-o source=FOLDER/shared`, `--shared-dir=FOLDER/shared`, `--chroot-base-dir FOLDER/jail`. (Once
    // it is jailed, a monitor does not say so any more; it is written down long before.)
    private static bool IsOurs(ReadOnlySpan<byte> arguments, byte[] folder)
    {
        foreach (Range range in arguments.Split((byte)0))
        {
            ReadOnlySpan<byte> argument = arguments[range];
            int at = argument.IndexOf(folder);
            if (at >= 0 && (at == 0 || argument[at - 1] == '=') && argument[(at + folder.Length)..] is var name && (name.SequenceEqual("api.sock"u8) || name.SequenceEqual("shared"u8) || name.SequenceEqual("jail"u8)))
            {
                return true;
            }
        }

        return false;
    }
}
