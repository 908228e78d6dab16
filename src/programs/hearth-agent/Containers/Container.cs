using System.Collections.Concurrent;
using Hearth.Agent.Protocol;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Oci.Runtime;
using Hearth.Programs.Agent.Processes;
using Hearth.Programs.Agent.Seccomp;
using Hearth.Programs.Agent.Setup;
using Hearth.Ttrpc;

namespace Hearth.Programs.Agent.Containers;

/// <summary>A container from its creation to its removal. Thread: any.</summary>
internal sealed class Container
{
    private const int EnteredNamespaces = Sched.CLONE_NEWNS | Sched.CLONE_NEWIPC | Sched.CLONE_NEWUTS | Sched.CLONE_NEWNET | Sched.CLONE_NEWCGROUP;

    private readonly ContainerHost _host;
    private readonly RuntimeSpec _spec;
    private readonly Cgroup _cgroup;
    private readonly RootFilesystemMount _rootfs;
    private readonly byte[]? _filter;
    private readonly uint _filterFlags;
    private readonly ConcurrentDictionary<string, ContainerProcess> _processes = new(StringComparer.Ordinal);

    // Guards _started and _removed: starting, entering and removing exclude each other.
    private readonly Lock _lock = new();
    private OutOfMemoryWatch? _watch;
    private bool _started;
    private bool _removed;

    private Container(ContainerHost host, string id, RuntimeSpec spec, Cgroup cgroup, RootFilesystemMount rootfs)
    {
        _host = host;
        Id = id;
        _spec = spec;
        _cgroup = cgroup;
        _rootfs = rootfs;
        if (spec.Linux?.Seccomp is { } profile)
        {
            _filter = ContainerSetup.BytesOf(SeccompCompiler.Compile(profile));
            _filterFlags = SeccompCompiler.FlagsOf(profile);
        }
    }

    public string Id { get; }

    public Child Init => _processes[""].Child;

    /// <exception cref="TtrpcException">It cannot be made; nothing of it is left.</exception>
    public static Container Create(ContainerHost host, CreateContainerRequest request, RuntimeSpec spec, Child? pidNamespace)
    {
        RootFilesystemMount rootfs = RootFilesystemMount.Create($"{host.Paths.Containers}/{request.ContainerId}", request.Rootfs);
        Cgroup? cgroup = null;
        try
        {
            ProcessSpec process = ProcessDefaults.Complete(spec.Process!, request.User, UserDatabase.Read(rootfs.Root));
            cgroup = host.Parent.CreateChild(request.ContainerId);
            if (spec.Linux?.Resources is { } resources)
            {
                DeviceRules.Apply(cgroup, resources.Devices);
            }

            var container = new Container(host, request.ContainerId, spec with { Process = process }, cgroup, rootfs);
            container.Prepare(request.Stdio, pidNamespace, request.FindProgram);
            return container;
        }
        catch
        {
            cgroup?.Kill();
            cgroup?.Remove();
            rootfs.Remove();
            throw;
        }
    }

    public void Start()
    {
        lock (_lock)
        {
            if (_started || _removed || _processes[""].HasExited)
            {
                throw new TtrpcException(StatusCode.FailedPrecondition, $"The container \"{Id}\" was started, or has ended, before.");
            }

            _started = true;
            _processes[""].Prepared.Go();
        }
    }

    /// <summary>Starts one more process. The caller enters it, or closes its streams.</summary>
    public ContainerProcess Exec(string execId, ProcessSpec spec, UserLookup? user, StandardStreams stdio)
    {
        ProcessSpec process = ProcessDefaults.Complete(
            spec with { Capabilities = spec.Capabilities ?? _spec.Process!.Capabilities }, user, UserDatabase.Read(_rootfs.Root));
        var setup = new ContainerSetup { Process = process, Namespaces = EnteredNamespaces, Filter = _filter, FilterFlags = _filterFlags };
        lock (_lock)
        {
            if (!_started || _removed || Init.Exit.IsCompleted)
            {
                throw new TtrpcException(StatusCode.FailedPrecondition, $"The container \"{Id}\" is not running.");
            }
        }

        ContainerProcess started = Launch(execId, setup, stdio, Init, Init.Pidfd);
        try
        {
            Enter(started.Child.Pid);
            // Whoever ends the container's rest ends what was in its group by then.
            if (Init.Exit.IsCompleted)
            {
                throw new TtrpcException(StatusCode.FailedPrecondition, $"The container \"{Id}\" has ended.");
            }

            started.Prepared.Go();
        }
        catch
        {
            ChildProcess.Signal(started.Child.Pidfd, Signals.SIGKILL);
            started.Streams.Close();
            throw;
        }

        return started;
    }

    /// <summary>Starts one more process that the host knows by name.</summary>
    public ContainerProcess ExecNamed(string execId, ProcessSpec spec, UserLookup? user, StandardStreams stdio)
    {
        if (execId.Length == 0 || _processes.ContainsKey(execId))
        {
            throw new TtrpcException(StatusCode.AlreadyExists, $"The container \"{Id}\" has a process \"{execId}\".");
        }

        ContainerProcess process = Exec(execId, spec, user, stdio);
        if (!_processes.TryAdd(execId, process))
        {
            ChildProcess.Signal(process.Child.Pidfd, Signals.SIGKILL);
            process.Streams.Close();
            throw new TtrpcException(StatusCode.AlreadyExists, $"The container \"{Id}\" has a process \"{execId}\".");
        }

        TellExit(process);
        return process;
    }

    /// <exception cref="TtrpcException">NotFound.</exception>
    public ContainerProcess Process(string execId) => _processes.TryGetValue(execId, out ContainerProcess? process)
        ? process
        : throw new TtrpcException(StatusCode.NotFound, $"The container \"{Id}\" has no process \"{execId}\".");

    public ContainerProcess? FindProcess(string execId) => _processes.GetValueOrDefault(execId);

    public void RemoveProcess(string execId)
    {
        if (!_processes.TryGetValue(execId, out ContainerProcess? process))
        {
            return;
        }

        if (execId.Length == 0 || !process.HasExited)
        {
            throw new TtrpcException(StatusCode.FailedPrecondition, $"The process \"{execId}\" of \"{Id}\" has not ended, or is its first.");
        }

        if (_processes.TryRemove(execId, out _))
        {
            process.Streams.Close();
        }
    }

    public void SignalAll(int signal)
    {
        if (signal == Signals.SIGKILL)
        {
            _cgroup.Kill();
            return;
        }

        foreach (int pid in _cgroup.Pids())
        {
            _ = Signals.kill(pid, signal);
        }
    }

    public IReadOnlyList<int> Pids() => _cgroup.Pids();

    public void Update(ResourcesSpec resources) => _cgroup.Apply(resources);

    public StatsResponse Stats() => ContainerStats.Take(_cgroup, _rootfs.WritableLayer);

    /// <summary>Stops all processes where they stand, or lets them go on.</summary>
    public void SetFrozen(bool frozen) => _cgroup.SetFrozen(frozen);

    /// <summary>Kills what is left and removes every trace. Doing it twice is no error.</summary>
    public void Remove()
    {
        lock (_lock)
        {
            if (_removed)
            {
                return;
            }

            _removed = true;
        }

        _cgroup.Kill();
        _watch?.Close();
        foreach (ContainerProcess process in _processes.Values)
        {
            process.Child.Exit.Wait();
            process.Streams.Close();
        }

        _cgroup.Remove();
        _rootfs.Remove();
    }

    private void Prepare(StandardStreams stdio, Child? pidNamespace, bool findProgram)
    {
        int namespaces = 0;
        foreach (NamespaceSpec wanted in _spec.Linux?.Namespaces ?? [])
        {
            namespaces |= wanted.Path is null ? ProcessDefaults.NamespaceOf(wanted.Type) : 0;
        }

        var setup = new ContainerSetup
        {
            Process = _spec.Process!,
            Container = _spec,
            RootPath = _rootfs.Root,
            CgroupPath = _cgroup.Path,
            FindProgram = findProgram,
            Namespaces = namespaces,
            Filter = _filter,
            FilterFlags = _filterFlags,
        };
        ContainerProcess init = Launch("", setup, stdio, pidNamespace, null);
        try
        {
            // Not before: setting up takes threads, memory and CPU time that small limits have no room for.
            _cgroup.Apply(_spec.Linux?.Resources ?? new ResourcesSpec());
        }
        catch
        {
            init.Streams.Close();
            throw;
        }

        _processes[""] = init;
        _watch = new OutOfMemoryWatch(_host.Loop, _cgroup, () => _host.Events.Publish(new Event { OutOfMemory = new OutOfMemory { ContainerId = Id } }));
        TellExit(init);
        // Where the pid namespace is not its own, its first process does not take the others with it.
        init.Child.Exit.ContinueWith(_ => KillRest(), TaskScheduler.Default);
    }

    private void KillRest()
    {
        try
        {
            _cgroup.Kill();
        }
        catch (HearthException)
        {
            // Removed meanwhile.
        }
    }

    private ContainerProcess Launch(string execId, ContainerSetup setup, StandardStreams stdio, Child? pidNamespace, FileDescriptor? target)
    {
        var streams = new ProcessStreams(_host.Loop, stdio, setup.Terminal);
        try
        {
            // The first process makes the cgroup namespace, so it is in the group before, while that has no limits. Any other
            // enters when it is set up.
            PreparedProcess prepared = _host.Launcher.Prepare(setup, streams.Far, pidNamespace?.Pidfd, target, child =>
            {
                streams.CloseFar();
                if (target is null)
                {
                    Enter(child.Pid);
                }

                if (setup.Process.OomScoreAdj is { } adjustment)
                {
                    File.WriteAllText($"/proc/{child.Pid}/oom_score_adj", $"{adjustment}");
                }
            });
            streams.TakeTerminal(prepared.Terminal);
            return new ContainerProcess(execId, prepared, streams);
        }
        catch
        {
            streams.Close();
            throw;
        }
    }

    private void Enter(int pid)
    {
        try
        {
            _cgroup.Add(pid);
        }
        catch (LinuxException e) when (e.Errno == Errno.EBUSY)
        {
            // The container has handed its controllers on to groups of its own, and is in one of them itself.
            string own = File.ReadAllText($"/proc/{Init.Pid}/cgroup").Split('\n').First(static line => line.StartsWith("0::", StringComparison.Ordinal))[3..];
            new Cgroup(_host.Paths.Cgroups + own).Add(pid);
        }
    }

    private void TellExit(ContainerProcess process) => process.Child.Exit.ContinueWith(
        exit => _host.Events.Publish(new Event
        {
            Exited = new ProcessExited { ContainerId = Id, ExecId = process.ExecId, ExitStatus = (uint)exit.Result.Status, Pid = (uint)process.Child.Pid },
        }),
        TaskScheduler.Default);
}
