using System.Globalization;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Oci.Runtime;
using Hearth.Ttrpc;

namespace Hearth.Programs.Agent.Containers;

/// <summary>A control group of version 2. Thread: any, one at a time. Source: Documentation/admin-guide/cgroup-v2.rst.</summary>
internal sealed class Cgroup
{
    private static readonly string[] s_controllers = ["cpu", "cpuset", "io", "memory", "pids", "hugetlb"];
    private static readonly TimeSpan s_emptyingTime = TimeSpan.FromSeconds(10);

    public Cgroup(string path)
    {
        Path = path;
    }

    public string Path { get; }

    /// <summary>The group that all containers are in, with every controller that the kernel gives.</summary>
    public static Cgroup OpenParent(string mountPoint, string name)
    {
        Delegate(mountPoint);
        var parent = new Cgroup(System.IO.Path.Combine(mountPoint, name));
        Directory.CreateDirectory(parent.Path);
        Delegate(parent.Path);
        return parent;
    }

    /// <summary>The controllers that limits work with here.</summary>
    public IReadOnlyList<string> Controllers => ReadText("cgroup.controllers").Split((char[])[' ', '\n'], StringSplitOptions.RemoveEmptyEntries);

    public Cgroup CreateChild(string name)
    {
        var child = new Cgroup(System.IO.Path.Combine(Path, name));
        Directory.CreateDirectory(child.Path);
        return child;
    }

    public void Add(int pid) => Write("cgroup.procs", $"{pid}");

    public IReadOnlyList<int> Pids() =>
        [.. ReadText("cgroup.procs").Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(static line => int.Parse(line, CultureInfo.InvariantCulture))];

    /// <summary>Kills every process in the group and in those below.</summary>
    public void Kill()
    {
        if (File.Exists(System.IO.Path.Combine(Path, "cgroup.kill")))
        {
            Write("cgroup.kill", "1");
            return;
        }

        // Before Linux 5.14: until none is left that could have forked meanwhile.
        DateTime deadline = DateTime.UtcNow + s_emptyingTime;
        while (Pids() is { Count: > 0 } pids && DateTime.UtcNow < deadline)
        {
            foreach (int pid in pids)
            {
                _ = Signals.kill(pid, Signals.SIGKILL);
            }

            Thread.Yield();
        }
    }

    /// <summary>Stops every process in the group and below, or lets them go on. Returns when the kernel says that it is so.</summary>
    /// <exception cref="TtrpcException">DeadlineExceeded: a process does not stop; all go on.</exception>
    public void SetFrozen(bool frozen)
    {
        Limit("cgroup.freeze", frozen ? "1" : "0");
        ulong wanted = frozen ? 1ul : 0;
        var backoff = new Backoff(s_emptyingTime);
        while (ReadNumbers("cgroup.events").GetValueOrDefault("frozen") != wanted)
        {
            if (backoff.IsOver)
            {
                Write("cgroup.freeze", "0");
                throw new TtrpcException(StatusCode.DeadlineExceeded, $"A process of the container did not stop in {s_emptyingTime.TotalSeconds} s.");
            }

            Thread.Sleep(backoff.Pause);
        }
    }

    /// <summary>Removes the group, and those below, once their processes are gone.</summary>
    /// <exception cref="IOException">They do not go.</exception>
    public void Remove()
    {
        var backoff = new Backoff(s_emptyingTime);
        while (Directory.Exists(Path))
        {
            try
            {
                foreach (string child in Directory.EnumerateDirectories(Path, "*", SearchOption.AllDirectories).OrderByDescending(static path => path.Length))
                {
                    Directory.Delete(child);
                }

                Directory.Delete(Path);
            }
            catch (IOException) when (!backoff.IsOver)
            {
                Thread.Sleep(backoff.Pause);
            }
        }
    }

    /// <summary>Sets limits; what is not named stays.</summary>
    /// <exception cref="TtrpcException">FailedPrecondition: the kernel lacks the controller. InvalidArgument: it refuses the value.</exception>
    public void Apply(ResourcesSpec resources)
    {
        try
        {
            foreach ((string file, string value) in CgroupLimits.Of(resources))
            {
                if (file != CgroupLimits.Swap || File.Exists(System.IO.Path.Combine(Path, file)))
                {
                    Limit(file, value);
                }
            }
        }
        catch (FormatException e)
        {
            throw new TtrpcException(StatusCode.InvalidArgument, e.Message, e);
        }
    }

    /// <summary>The numbers in a file of lines "name number".</summary>
    public Dictionary<string, ulong> ReadNumbers(string file)
    {
        var numbers = new Dictionary<string, ulong>();
        foreach (string line in ReadText(file).Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] parts = line.Split(' ');
            if (parts.Length == 2 && ulong.TryParse(parts[1], CultureInfo.InvariantCulture, out ulong value))
            {
                numbers[parts[0]] = value;
            }
        }

        return numbers;
    }

    /// <summary>The number in a file; 0 where there is no such file, or it says "max".</summary>
    public ulong ReadNumber(string file) => ulong.TryParse(ReadText(file).AsSpan().Trim(), CultureInfo.InvariantCulture, out ulong value) ? value : 0;

    private void Limit(string file, string value)
    {
        if (!File.Exists(System.IO.Path.Combine(Path, file)))
        {
            throw new TtrpcException(StatusCode.FailedPrecondition, $"The guest kernel has no \"{file}\": its cgroup controllers are: {string.Join(' ', Controllers)}.");
        }

        try
        {
            Write(file, value);
        }
        catch (LinuxException e)
        {
            throw new TtrpcException(StatusCode.InvalidArgument, $"The limit {file} = {value} was refused: {e.Reason}.", e);
        }
    }

    private static void Delegate(string path)
    {
        string[] offered = File.ReadAllText(System.IO.Path.Combine(path, "cgroup.controllers")).Split((char[])[' ', '\n'], StringSplitOptions.RemoveEmptyEntries);
        foreach (string controller in s_controllers.Intersect(offered))
        {
            try
            {
                new Cgroup(path).Write("cgroup.subtree_control", $"+{controller}");
            }
            catch (LinuxException e)
            {
                AgentLog.Error($"The cgroup controller {controller} cannot be used: {e.Reason}.");
            }
        }
    }

    /// <summary>Empty if there is no such file.</summary>
    public string ReadText(string file)
    {
        string path = System.IO.Path.Combine(Path, file);
        return File.Exists(path) ? File.ReadAllText(path) : "";
    }

    private void Write(string file, string value)
    {
        using FileDescriptor descriptor = FileDescriptor.Open(System.IO.Path.Combine(Path, file), Fcntl.O_WRONLY);
        Pipe.WriteAll(descriptor, System.Text.Encoding.ASCII.GetBytes(value));
    }
}
