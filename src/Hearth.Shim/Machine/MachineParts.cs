using System.Globalization;
using Hearth.Agent.Protocol;
using Hearth.Linux;

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

    /// <summary>Which network namespace the monitor is in.</summary>
    public void IsIn(string space)
    {
        ulong inode = Namespaces.InodeOf(space);
        WriteDown(record => record with { NetworkInode = inode });
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
