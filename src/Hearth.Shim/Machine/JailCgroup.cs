using System.Globalization;
using Hearth.Linux;
using Hearth.Linux.Native;

namespace Hearth.Shim.Machine;

/// <summary>What a cgroup's memory limit has done. Source: cgroup-v2.rst, memory.events; cgroup-v1/memory.rst, memory.oom_control.</summary>
/// <param name="ReachedLimit">Its own limit was reached, and nothing could be taken back.</param>
/// <param name="Killed">A process of it was killed for want of memory: its own limit's, or the host's.</param>
internal readonly record struct OutOfMemory(bool ReachedLimit, bool Killed);

/// <summary>The cgroup that a pod's manager has for it.</summary>
/// <param name="Path">Below the host's mount.</param>
/// <param name="TakesLimits">The limits are to be its own: a process that stands for the pod is in it, and the kernel gives no controllers below such.</param>
public sealed record ManagerCgroup(string Path, bool TakesLimits = false);

/// <summary>Writes down the directories of a pod's cgroup, and of its manager's above it, before they are there.</summary>
internal delegate void CgroupsWriter(IReadOnlyList<string> own, IReadOnlyList<string> manager);

/// <summary>
/// A pod's cgroup on the host: memory, processes and CPU time of what serves the pod, by the size of its machine. Made here,
/// so that virtiofsd is in it too; the jailer sets the limits, unless the manager's takes them. A controller that the host does not have is done without, and
/// said. Thread: any.
/// </summary>
internal sealed class JailCgroup
{
    // Threads: the monitor has seven and one a vCPU, virtiofsd up to 64.
    private const int MoreTasks = 128;
    private const long PeriodUs = 100_000;
    private const int BusyMs = 10_000;
    private const int PauseMs = 20;

    private readonly CgroupHierarchy _hierarchy;
    private readonly string _parent;
    private readonly string _own;
    private readonly int _vcpus;

    // Whose files the limits are in: its own, or the parent's.
    private readonly string _limited;

    private JailCgroup(CgroupHierarchy hierarchy, string parent, string name, bool limitsParent, int vcpus, int memoryMib)
    {
        _hierarchy = hierarchy;
        _parent = parent;
        _own = $"{parent}/{name}";
        _limited = limitsParent ? parent : _own;
        Folders = [.. hierarchy.Mounts.Values.Distinct().Select(mount => $"{mount}/{_own}")];
        MemoryBytes = (memoryMib + OverheadMib(memoryMib)) << 20;
        _vcpus = vcpus;
    }

    /// <summary>Its directories: one, or with version 1 one a controller.</summary>
    public IReadOnlyList<string> Folders { get; }

    /// <summary>The directory whose files have its memory limit.</summary>
    public string LimitsFolder => $"{_hierarchy.Mounts.GetValueOrDefault("memory", _hierarchy.Mounts.Values.First())}/{_limited}";

    /// <summary>Its limits as the jailer takes them: FILE=VALUE.</summary>
    public IReadOnlyList<string> Settings => [.. _hierarchy.Mounts.SelectMany(pair => SettingsOf(pair.Key, $"{pair.Value}/{_limited}"))];

    /// <summary>The most that the monitor and virtiofsd may have together, the guest's memory among it.</summary>
    public long MemoryBytes { get; }

    /// <summary>Whether it would know of a process that was killed for want of memory.</summary>
    public bool CountsMemory => _hierarchy.Mounts.ContainsKey("memory");

    /// <summary>The jailer's arguments. Without limits to set it enters the parent that it is told, and makes none of its own.</summary>
    public IEnumerable<string> Arguments =>
    [
        "--cgroup-version", _hierarchy.Version.ToString(CultureInfo.InvariantCulture), "--parent-cgroup", _limited == _own ? _parent : _own,
        .. _limited == _own ? Settings.SelectMany(static setting => (string[])["--cgroup", setting]) : [],
    ];

    /// <summary>
    /// What the monitor and virtiofsd may take besides the guest's memory, in MiB. Seen of an idle pod: 4 of the programs' own and
    /// 1 of the kernel's for them. The rest is for connections' buffers, virtiofsd's table of files, page cache that is not taken
    /// back in time, and KVM's tables of the guest's pages, which grow with it.
    /// </summary>
    public static long OverheadMib(int memoryMib) => 64 + (memoryMib / 64);

    /// <summary>Makes the cgroup, empty.</summary>
    /// <param name="hierarchy">The host's.</param>
    /// <param name="manager">To be above: so what the pod takes is counted there. Null for none.</param>
    /// <param name="parent">The cgroup above where there is no such, or it cannot be used: as <c>jail_cgroup</c> says.</param>
    /// <param name="name">The jail's identifier: nobody else's.</param>
    /// <param name="vcpus">The machine's.</param>
    /// <param name="memoryMib">The machine's.</param>
    /// <param name="warn">Told what the host does not have.</param>
    /// <param name="writeDown">Told its directories before they are there: who dies in between leaves none that nobody knows.</param>
    /// <returns>Null if there is none to be had.</returns>
    /// <exception cref="HearthException">The parent's name is none, or it cannot be made.</exception>
    public static JailCgroup? Create(
        CgroupHierarchy hierarchy, ManagerCgroup? manager, string parent, string name, int vcpus, int memoryMib, Action<string> warn, CgroupsWriter writeDown)
    {
        if (!parent.Split('/').All(DirectoryHandle.IsName))
        {
            throw new HearthException($"jail_cgroup of [microvm] is \"{parent}\", which is no cgroup below the host's own: it is names with slashes between them.");
        }

        string[] managerFolders = manager is null ? [] : [.. hierarchy.Mounts.Values.Distinct().Select(mount => $"{mount}/{manager.Path}")];
        writeDown([], managerFolders);
        bool limitsManager = manager is { TakesLimits: true } && hierarchy.Version == 2;
        CgroupHierarchy usable = hierarchy.Enable(manager is null ? parent : limitsManager ? Above(manager.Path) : manager.Path);
        // Of a container that has started again while others go on in its old machine.
        bool isTaken = limitsManager && managerFolders.Any(static folder => Directory.Exists(folder) && Directory.GetDirectories(folder).Length > 0);
        if (manager is not null && (isTaken || usable.Mounts.Count < hierarchy.Mounts.Count))
        {
            // A cgroup above that has processes gives no controllers to those below.
            warn($"The pod's processes on the host are not in the manager's cgroup {manager.Path}: {(isTaken ? "another machine is in it" : usable.Problem)}.");
            (manager, limitsManager) = (null, false);
            usable = hierarchy.Enable(parent);
        }

        parent = manager?.Path ?? parent;
        if (usable.Missing.Count > 0)
        {
            warn($"The pod has no limit of its own on the host for {string.Join(", ", usable.Missing)}: {usable.Problem}. hearth doctor says what to do.");
        }

        if (usable.Mounts.Count == 0)
        {
            return null;
        }

        var cgroup = new JailCgroup(usable, parent, name, limitsManager, vcpus, memoryMib);
        writeDown(cgroup.Folders, managerFolders);
        try
        {
            foreach (string folder in cgroup.Folders)
            {
                Directory.CreateDirectory(folder);
            }

            if (limitsManager)
            {
                cgroup.LimitParent();
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or LinuxException)
        {
            throw new HearthException($"The pod's cgroup {cgroup.Folders[0]} cannot be made: {e.Message} jail_cgroup = \"\" in [microvm] of hearth.toml does without.", e);
        }

        return cgroup;
    }

    /// <summary>Puts a process there with all its threads.</summary>
    public void Add(int pid)
    {
        foreach (string folder in Folders)
        {
            WriteControl($"{folder}/cgroup.procs", pid.ToString(CultureInfo.InvariantCulture));
        }
    }

    /// <summary>What has happened; nothing where that cannot be read.</summary>
    public OutOfMemory ReadOutOfMemory()
    {
        if (!_hierarchy.Mounts.TryGetValue("memory", out string? mount))
        {
            return default;
        }

        string folder = $"{mount}/{_limited}";
        bool unified = _hierarchy.Version == 2;
        string events = TryRead($"{folder}/{(unified ? "memory.events" : "memory.oom_control")}");
        // Version 1: the most there ever was. Its counts of failures stay 0 on some kernels.
        const long nearly = 1 << 20;
        bool reached = unified
            ? Counter(events, "oom") > 0
            : long.TryParse(TryRead($"{folder}/memory.max_usage_in_bytes"), CultureInfo.InvariantCulture, out long most) && most + nearly >= MemoryBytes;
        return new OutOfMemory(reached, Counter(events, "oom_kill") > 0);
    }

    /// <summary>Ends what is left in one of a cgroup's directories, and removes it. One that is gone is no error.</summary>
    /// <exception cref="HearthException">It stays busy.</exception>
    public static async Task RemoveAsync(string folder)
    {
        for (int waitedMs = 0; Directory.Exists(folder); waitedMs += PauseMs)
        {
            Kill(folder);
            try
            {
                Directory.Delete(folder);
                return;
            }
            catch (IOException e) when (Directory.Exists(folder))
            {
                // A process on its way out, or a kernel thread of KVM's that ends after it.
                if (waitedMs >= BusyMs)
                {
                    throw new HearthException($"The cgroup {folder} stays busy: {e.Message} Look who is in its cgroup.procs, and clean up again.", e);
                }

                await Task.Delay(PauseMs).ConfigureAwait(false);
            }
            catch (DirectoryNotFoundException)
            {
                return;
            }
        }
    }

    /// <summary>Removes a manager's cgroup for the pod, unless somebody else is in it or below.</summary>
    public static void Leave(string folder)
    {
        try
        {
            Directory.Delete(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It is the manager's to remove, or gone.
        }
    }

    private static string Above(string path) => path.Contains('/') ? path[..path.LastIndexOf('/')] : "";

    private void LimitParent()
    {
        foreach (string[] setting in Settings.Select(static setting => setting.Split('=', 2)))
        {
            WriteControl($"{LimitsFolder}/{setting[0]}", setting[1]);
        }
    }

    private static void Kill(string folder)
    {
        foreach (string line in TryRead($"{folder}/cgroup.procs").Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (!int.TryParse(line, CultureInfo.InvariantCulture, out int pid) || pid <= 0)
            {
                continue;
            }

            try
            {
                using FileDescriptor process = ChildProcess.OpenPidfd(pid);
                // Looked at again, now that the number stands for one process.
                if (TryRead($"{folder}/cgroup.procs").Split('\n').Contains(line))
                {
                    ChildProcess.Signal(process, Signals.SIGKILL);
                }
            }
            catch (LinuxException)
            {
                // It has just ended.
            }
        }
    }

    private IEnumerable<string> SettingsOf(string controller, string folder)
    {
        bool unified = _hierarchy.Version == 2;
        // vCPUs, and one more for everything that serves them.
        long cpuUs = (_vcpus + 1) * PeriodUs;
        switch (controller)
        {
            case "memory":
                yield return Setting(unified ? "memory.max" : "memory.limit_in_bytes", MemoryBytes);
                // None of it goes to the host's swap, where the kernel counts that.
                string swap = unified ? "memory.swap.max" : "memory.memsw.limit_in_bytes";
                if (File.Exists($"{folder}/{swap}"))
                {
                    yield return Setting(swap, unified ? 0 : MemoryBytes);
                }

                break;
            case "pids":
                yield return Setting("pids.max", _vcpus + MoreTasks);
                break;
            case "cpu" when unified:
                yield return string.Create(CultureInfo.InvariantCulture, $"cpu.max={cpuUs} {PeriodUs}");
                break;
            default:
                yield return Setting("cpu.cfs_period_us", PeriodUs);
                yield return Setting("cpu.cfs_quota_us", cpuUs);
                break;
        }
    }

    private static string Setting(string file, long value) => string.Create(CultureInfo.InvariantCulture, $"{file}={value}");

    private static long Counter(string events, string name)
    {
        foreach (string line in events.Split('\n'))
        {
            if (line.StartsWith(name + " ", StringComparison.Ordinal) && long.TryParse(line[(name.Length + 1)..], CultureInfo.InvariantCulture, out long count))
            {
                return count;
            }
        }

        return 0;
    }

    internal static string TryRead(string path)
    {
        try
        {
            return File.ReadAllText(path).Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    /// <summary>Writes a file of the kernel's in one piece, and makes none.</summary>
    internal static void WriteControl(string path, string value)
    {
        using FileDescriptor file = FileDescriptor.Open(path, Fcntl.O_WRONLY);
        Pipe.WriteAll(file, System.Text.Encoding.ASCII.GetBytes(value));
    }
}
