using System.Globalization;
using Hearth.Linux;
using Hearth.Oci.Runtime;
using Hearth.Runtime.Handlers;
using Hearth.Runtime.Pods;

namespace Hearth.Runtime.OciPods;

/// <summary>
/// A pod's cgroup (v2): limits of the pod as a whole, and below it one for each container, one for what serves the pod. Paths
/// are below /sys/fs/cgroup. Thread: any. Source: linux Documentation/admin-guide/cgroup-v2.rst.
/// </summary>
internal sealed class OciCgroup
{
    public const string Mount = "/sys/fs/cgroup";

    // Where pods go that name no parent.
    private const string DefaultParent = "/hearth";
    private const string Infra = "infra";
    private const long Cgroup2Magic = 0x63677270;
    private const int MostRemovals = 600;

    private static readonly string[] s_controllers = ["cpu", "cpuset", "io", "memory", "pids", "hugetlb"];

    private readonly bool _ownParent;

    public OciCgroup(string parent, string podId)
    {
        _ownParent = parent.Length == 0;
        string above = _ownParent ? DefaultParent : "/" + parent.Trim('/');
        Path = $"{above}/{podId}";
    }

    /// <summary>As OCI's cgroupsPath has it: <c>/hearth/ID</c>.</summary>
    public string Path { get; }

    public string InfraPath => Of(Infra);

    private string Folder => Mount + Path;

    /// <summary>Whether the host has the unified hierarchy where it belongs.</summary>
    public static bool IsUnified()
    {
        try
        {
            using FileDescriptor root = FileDescriptor.Open(Mount, Hearth.Linux.Native.Fcntl.O_RDONLY);
            return FileStatus.FileSystemOf(root) == Cgroup2Magic;
        }
        catch (LinuxException)
        {
            return false;
        }
    }

    public string Of(string container) => $"{Path}/{container}";

    /// <summary>Makes the pod's cgroup with its controllers for those below.</summary>
    public void Create()
    {
        Directory.CreateDirectory(Folder);
        string above = Mount;
        foreach (string part in Path.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            Enable(above);
            above += "/" + part;
        }

        Enable(Folder);
    }

    /// <summary>Sets what the pod may use; what is not said stays.</summary>
    /// <exception cref="PodException">InvalidArgument: the kernel refuses a value, or lacks the limit.</exception>
    public void Limit(ResourcesSpec resources)
    {
        try
        {
            foreach ((string file, string value) in CgroupLimits.Of(resources))
            {
                if (file != CgroupLimits.Swap || File.Exists($"{Folder}/{file}"))
                {
                    Write(file, value);
                }
            }
        }
        catch (FormatException e)
        {
            throw new PodException(PodFault.InvalidArgument, e.Message, e);
        }
    }

    /// <summary>Puts a process that serves the pod into the pod's cgroup.</summary>
    public void AddServant(int pid)
    {
        string servants = $"{Folder}/servants";
        Directory.CreateDirectory(servants);
        File.WriteAllText($"{servants}/cgroup.procs", pid.ToString(CultureInfo.InvariantCulture));
    }

    /// <summary>Whether the kernel has killed a process of a container for want of memory.</summary>
    public bool HasRunOutOfMemory(string container) => Number(Mount + Of(container), "memory.events", "oom_kill") > 0;

    /// <summary>Kills every process of a container, those that its first one has left behind too.</summary>
    public void Kill(string container) => KillAll(Mount + Of(container));

    /// <summary>What a container uses; null if it has no processes any more.</summary>
    /// <param name="container">Its ID.</param>
    /// <param name="writable">Where it writes.</param>
    public ContainerSample? Sample(string container, string writable)
    {
        string folder = Mount + Of(container);
        if (!Directory.Exists(folder))
        {
            return null;
        }

        ulong usage = Number(folder, "memory.current");
        return new ContainerSample
        {
            Id = container,
            CpuNanoseconds = Number(folder, "cpu.stat", "usage_usec") * 1000,
            Pids = Number(folder, "pids.current"),
            Memory = new MemoryUse
            {
                Usage = usage,
                WorkingSet = usage - Math.Min(usage, Number(folder, "memory.stat", "inactive_file")),
                Rss = Number(folder, "memory.stat", "anon"),
                Limit = Number(folder, "memory.max"),
                PageFaults = Number(folder, "memory.stat", "pgfault"),
                MajorPageFaults = Number(folder, "memory.stat", "pgmajfault"),
            },
            Counters = CgroupCounters.Of(folder, ProcessesIn(folder), writable),
        };
    }

    /// <summary>Of the whole pod.</summary>
    public (ulong MemoryBytes, ulong CpuNanoseconds) SamplePod() => (Number(Folder, "memory.current"), Number(Folder, "cpu.stat", "usage_usec") * 1000);

    /// <summary>Kills everything in the pod and removes its cgroups. One that is gone is no error.</summary>
    public async Task RemoveAsync()
    {
        if (!Directory.Exists(Folder))
        {
            return;
        }

        // Processes leave a cgroup when they are gone for good, which the killing only begins.
        for (int i = 0; ; i++)
        {
            KillAll(Folder);
            if (TryRemove(Folder))
            {
                // The last pod takes Hearth's own parent with it; a pod that is being made makes it again.
                if (_ownParent)
                {
                    TryRemove(Mount + DefaultParent, deep: false);
                }

                return;
            }

            if (i == MostRemovals)
            {
                throw new PodException(PodFault.Internal, $"The cgroup {Path} cannot be removed: processes in it do not end (cat {Folder}/cgroup.procs).");
            }

            await Task.Delay(50).ConfigureAwait(false);
        }
    }

    // Those of groups that a container makes for itself too.
    private static List<int> ProcessesIn(string folder)
    {
        var processes = new List<int>();
        foreach (string line in ReadIfThere($"{folder}/cgroup.procs").Split('\n'))
        {
            if (int.TryParse(line, out int pid))
            {
                processes.Add(pid);
            }
        }

        try
        {
            foreach (string below in Directory.GetDirectories(folder))
            {
                processes.AddRange(ProcessesIn(below));
            }
        }
        catch (IOException)
        {
            // It went away.
        }

        return processes;
    }

    private static bool TryRemove(string folder, bool deep = true)
    {
        try
        {
            foreach (string below in deep ? Directory.GetDirectories(folder) : [])
            {
                if (!TryRemove(below))
                {
                    return false;
                }
            }

            // Not recursive: its files are the kernel's, and go with it.
            Directory.Delete(folder, recursive: false);
            return true;
        }
        catch (DirectoryNotFoundException)
        {
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    // cgroup.kill is of Linux 5.14; before it, each process is told.
    private static void KillAll(string folder)
    {
        try
        {
            if (File.Exists($"{folder}/cgroup.kill"))
            {
                File.WriteAllText($"{folder}/cgroup.kill", "1");
                return;
            }

            foreach (string below in Directory.GetDirectories(folder))
            {
                KillAll(below);
            }

            foreach (string line in File.ReadAllLines($"{folder}/cgroup.procs"))
            {
                if (int.TryParse(line, out int pid))
                {
                    HostProcess.Kill(pid);
                }
            }
        }
        catch (IOException)
        {
            // It went away, or it is threaded and has no processes of its own.
        }
    }

    private static void Enable(string folder)
    {
        string control = $"{folder}/cgroup.subtree_control";
        string[] there = ReadIfThere($"{folder}/cgroup.controllers").Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        string[] enabled = ReadIfThere(control).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        foreach (string controller in s_controllers.Intersect(there).Except(enabled))
        {
            try
            {
                File.WriteAllText(control, "+" + controller);
            }
            catch (IOException)
            {
                // One that cannot be had here: limits by it are refused when they are asked for.
            }
        }
    }

    private static ulong Number(string folder, string file, string? key = null)
    {
        string text = ReadIfThere($"{folder}/{file}");
        if (key is not null)
        {
            text = text.Split('\n').FirstOrDefault(line => line.StartsWith(key + " ", StringComparison.Ordinal))?[(key.Length + 1)..] ?? "";
        }

        // "max" is no limit: 0.
        return ulong.TryParse(text.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out ulong number) ? number : 0;
    }

    private static string ReadIfThere(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (IOException)
        {
            return "";
        }
    }

    private void Write(string file, string value)
    {
        try
        {
            File.WriteAllText($"{Folder}/{file}", value);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new PodException(PodFault.InvalidArgument, $"The pod's limit {file} cannot be set to \"{value}\": {e.Message}", e);
        }
    }
}
