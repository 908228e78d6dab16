using System.Globalization;
using Hearth.Agent.Protocol;
using Hearth.Linux;
using Hearth.Network.Pods;

namespace Hearth.Shim.Machine;

/// <summary>
/// Everything a machine takes from the host, from the moment it takes it: written down for whoever comes after a kill -9, and
/// given back, all of it, when this is disposed. Thread: any; set by one at a time.
/// </summary>
internal sealed class MachineParts : IAsyncDisposable
{
    // Guards _record and its file.
    private readonly Lock _lock = new();
    private MachineRecord _record;

    /// <param name="folder">The pod's.</param>
    /// <param name="record">What is about to be taken.</param>
    public MachineParts(PodFolder folder, MachineRecord record)
    {
        Folder = folder;
        _record = record;
        record.Write(folder.Record);
    }

    public PodFolder Folder { get; }

    /// <summary>How the monitor sees the host.</summary>
    public IMonitorFiles? Files { get; private set; }

    /// <summary>What bounds the monitor and virtiofsd; null without a jail, or where the host has none.</summary>
    public JailCgroup? Cgroup { get; private set; }

    public PodMonitor? Monitor { get; private set; }

    public HostProcess? Virtiofsd { get; private set; }

    /// <summary>What the guest sees of the host; null where the monitor has no virtio-fs.</summary>
    public SharedFolder? Shared { get; set; }

    public AgentClient? Agent { get; set; }

    /// <summary>Makes the jail, if there is to be one. Nothing can be lent to a monitor before.</summary>
    public IMonitorFiles Prepare(PodMachineOptions options)
    {
        if (!PodMonitor.IsJailed(options.Config.Microvm))
        {
            return Files = new PlainMonitorFiles(Folder);
        }

        (uint user, string file) = JailUsers.Take(options.Config, Folder.Path);
        WriteDown(record => record with { JailUser = file });
        // No other pod's, whatever its id is: the number is this one's alone.
        string id = PodMonitor.IdOf(options.PodId, string.Create(CultureInfo.InvariantCulture, $"-{user}"));
        if (options.Config.Microvm.JailCgroup is { Length: > 0 } parent)
        {
            Cgroup = JailCgroup.Create(
                CgroupHierarchy.OfHost(), options.Cgroup, parent, id, options.Vcpus, options.MemoryMib, options.Warn, (own, manager) => WriteDown(record => record with { Cgroups = own, ManagerCgroups = manager }));
        }

        return Files = new MonitorJail(Folder.Path, ProgramFinder.Find(options.Config.Microvm.Monitor, "monitor"), id, user, Cgroup);
    }

    /// <summary>Why a machine whose monitor has ended by itself has ended.</summary>
    /// <param name="status">The monitor's exit status.</param>
    public string ReasonOf(int status) => MonitorEnd.ReasonOf(status, Monitor?.Process.Output.Lines(int.MaxValue) ?? "", Cgroup);

    public void Take(PodMonitor monitor)
    {
        Monitor = monitor;
        WriteDown(monitor.Process);
    }

    /// <summary>Before an image of a container's root is made.</summary>
    public void WillMake(string rootImage) => WriteDown(record => record with { RootImages = [.. record.RootImages, rootImage] });

    /// <summary>After it has lost its name.</summary>
    public void Forget(string rootImage) => WriteDown(record => record with { RootImages = [.. record.RootImages.Where(image => image != rootImage)] });

    public void Take(HostProcess virtiofsd)
    {
        Virtiofsd = virtiofsd;
        WriteDown(virtiofsd);
        Cgroup?.Add(virtiofsd.Pid);
    }

    /// <summary>Ends the program that serves what the monitor cannot use.</summary>
    public async Task DropSharedAsync()
    {
        if (Virtiofsd is not null)
        {
            await Virtiofsd.DisposeAsync().ConfigureAwait(false);
        }

        Virtiofsd = null;
        Shared = null;
        Mounts.Detach(Folder.Shared);
    }

    public async ValueTask DisposeAsync()
    {
        if (Agent is not null)
        {
            await Agent.DisposeAsync().ConfigureAwait(false);
        }

        if (Monitor is not null)
        {
            await Monitor.DisposeAsync().ConfigureAwait(false);
        }

        if (Virtiofsd is not null)
        {
            await Virtiofsd.DisposeAsync().ConfigureAwait(false);
        }

        Files?.Dispose();
        // Whoever comes to clean up meanwhile waits, and finds nothing.
        using (Folder)
        {
            await MachineRemains.RemoveAsync(Folder.Path, _record).ConfigureAwait(false);
        }
    }

    private void WriteDown(HostProcess process) =>
        WriteDown(record => record with { Processes = [.. record.Processes, new ProcessRecord(process.Pid, process.StartTime)] });

    private void WriteDown(Func<MachineRecord, MachineRecord> change)
    {
        lock (_lock)
        {
            _record = change(_record);
            _record.Write(Folder.Record);
        }
    }
}

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

    // A shim may die between a start and its writing it down: then the process's arguments name the folder.
    private static IEnumerable<ProcessRecord> FindUnwritten(string folder)
    {
        byte[] named = System.Text.Encoding.UTF8.GetBytes(folder + "/");
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

    private static async Task EndAsync(ProcessRecord process)
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

            ChildProcess.Signal(pidfd, Hearth.Linux.Native.Signals.SIGKILL);
            const int mostMs = 10_000;
            if (!await Task.Run(() => Polling.WaitReadable(pidfd, mostMs)).ConfigureAwait(false))
            {
                throw new HearthException($"Process {process.Pid}, left behind by a shim, did not end within {mostMs / 1000} s of being killed: clean up again later.");
            }
        }
    }
}
