using System.Collections.Concurrent;
using Hearth.Agent.Protocol;
using Hearth.Configuration;
using Hearth.Linux;
using Hearth.Oci.Runtime;
using Hearth.Shim.Bootstrap;
using Hearth.Shim.Events;
using Hearth.Shim.Machine;
using Hearth.Shim.Protocol;
using Hearth.Shim.Protocol.Tasks;
using Hearth.Shim.Specs;
using Hearth.Ttrpc;

namespace Hearth.Shim.Pods;

/// <summary>
/// The pod: its machine, its containers, and what happens to them. The machine's end is every container's. Thread: any.
/// </summary>
internal sealed class Pod : IAsyncDisposable
{
    private static readonly TimeSpan s_machineFollowsAgent = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<string, PodContainer> _containers = new(StringComparer.Ordinal);
    private readonly SemaphoreSlim _ending = new(1);
    private readonly Thread _loopThread;
    private IPodMachine? _machine;
    private NetworkFollower? _network;
    private string _reason = "The pod has no machine yet.";

    public Pod(PodOptions options)
    {
        Options = options;
        Events = new EventForwarder(options.Namespace, options.EventsAddress, options.Log);
        _loopThread = new Thread(Loop.Run) { IsBackground = true, Name = "streams" };
        _loopThread.Start();
    }

    public PodOptions Options { get; }

    public ShimLog Log => Options.Log;

    /// <summary>Where FIFOs are waited for.</summary>
    public EventLoop Loop { get; } = new();

    public EventForwarder Events { get; }

    public PodEventFeed Feed { get; } = new();

    /// <summary>What containers are mounted whose manager makes no such files; null where it does.</summary>
    public PodNames? Names { get; set; }

    public IReadOnlyCollection<PodContainer> Containers => [.. _containers.Values];

    public bool IsEmpty => _containers.IsEmpty;

    /// <summary>Whether something stands for the pod itself, or stood: with its end the pod ends.</summary>
    public bool HasSandbox { get; private set; }

    public MachineSize Size { get; private set; }

    public HearthConfig Config { get; private set; } = new();

    /// <summary>Whether the machine runs and its agent answers.</summary>
    public bool IsReady => _machine is not null;

    /// <summary>Why the pod is not ready.</summary>
    public string Reason => IsReady ? "" : _reason;

    /// <summary>The machine is stopped with everything in it.</summary>
    public bool MachinePaused
    {
        get;
        set
        {
            field = value;
            if (!value)
            {
                _network?.CatchUp();
            }
        }
    }

    /// <summary>The process on the host whose end is the pod's; 0 when there is none.</summary>
    public uint MonitorPid => (uint)(_machine?.MonitorPid ?? 0);

    /// <summary>Of the Firecracker API that the monitor speaks; empty without one.</summary>
    public string MonitorVersion => _machine?.MonitorVersion ?? "";

    /// <summary>What holds the monitor; null without a jail, or without a machine.</summary>
    public PodJail? Jail => _machine?.Jail;

    /// <exception cref="TtrpcException">Unavailable: it has ended.</exception>
    public IPodMachine Machine => _machine ?? throw new TtrpcException(StatusCode.Unavailable, $"The pod's machine does not run. {_reason}");

    /// <summary>The agent of a machine that runs.</summary>
    /// <exception cref="TtrpcException">Unavailable: it has ended. FailedPrecondition: it is paused.</exception>
    public AgentClient Agent => MachinePaused
        ? throw new TtrpcException(StatusCode.FailedPrecondition, "The pod's machine is paused: resume it first.")
        : Machine.Agent;

    /// <exception cref="TtrpcException">NotFound.</exception>
    public PodContainer Get(string id) =>
        Find(id) ?? throw new TtrpcException(StatusCode.NotFound, $"There is no container \"{id}\" in this pod: not found.");

    public PodContainer? Find(string id) => _containers.GetValueOrDefault(id);

    /// <summary>Whether the pod goes on without a container, for others' sake. One with a sandbox ends with that, and with nothing else.</summary>
    public bool GoesOnWithout(string id) => !HasSandbox && _containers.Keys.Any(other => other != id);

    /// <exception cref="TtrpcException">AlreadyExists.</exception>
    public void Add(PodContainer container)
    {
        if (!_containers.TryAdd(container.Id, container))
        {
            throw new TtrpcException(StatusCode.AlreadyExists, $"There is a container \"{container.Id}\" already.");
        }

        HasSandbox |= container.Kind == BundleKind.Sandbox;
    }

    public void Remove(PodContainer container) => _containers.TryRemove(KeyValuePair.Create(container.Id, container));

    /// <summary>Boots the machine.</summary>
    /// <param name="spec">Whose limits and network it has.</param>
    /// <param name="configPath">As the manager's options say; empty for the usual one.</param>
    /// <param name="cancellation">Ends the attempt.</param>
    /// <exception cref="HearthException">It does not come up.</exception>
    public async Task BootAsync(RuntimeSpec spec, string configPath, CancellationToken cancellation)
    {
        if (_machine is not null)
        {
            throw new TtrpcException(StatusCode.AlreadyExists, $"The pod \"{Options.PodId}\" has its machine already.");
        }

        NamespaceSpec? network = spec.Linux?.Namespaces.FirstOrDefault(static one => one.Type == "network");
        if (network is null || (network.Path is { Length: > 0 } path && Namespaces.IsOwnNetwork(ManagerNetwork.Enter(path))))
        {
            throw new TtrpcException(
                StatusCode.InvalidArgument, "The pod asks for the host's network, which a machine cannot give it: use a runtime of processes (hearthd's handler \"oci\", or runc).");
        }

        string? given = string.IsNullOrEmpty(network.Path) ? null : network.Path;
        Config = Options.ReadConfig(configPath);
        Size = MachineSize.Of(spec, Config.Microvm);
        IPodMachine machine = await Options.StartMachine(
            new PodMachineOptions
            {
                PodId = Options.PodId,
                Folder = Options.Paths.Folder,
                Config = Config,
                Vcpus = Size.Vcpus,
                MemoryMib = Size.MemoryMib,
                NetworkNamespace = given,
                SpareInterfaces = !HasSandbox && ManagerNetwork.ComesLater(given) ? Config.Microvm.SpareInterfaces : 0,
                Cgroup = CgroupsPath.Parse(spec.Linux?.CgroupsPath) is { } cgroup ? new ManagerCgroup(cgroup, spec.Annotations?.GetValueOrDefault(SpecAnnotations.LimitsCgroup) == "true") : null,
                Hostname = spec.Hostname ?? "",
                Warn = Log.Info,
                Detail = Log.Debug,
                Sysctls = spec.Linux?.Sysctl ?? new Dictionary<string, string>(),
            },
            cancellation).ConfigureAwait(false);
        _machine = machine;
        _ = WatchMachineAsync(machine);
        _ = WatchMemoryAsync(machine);
    }

    /// <summary>Gives the guest what has come into the pod's network namespace since.</summary>
    /// <param name="container">For whose sake: what is wrong with the network of a pod that goes on is no error of one that joins it.</param>
    /// <param name="cancellation">Ends the attempt.</param>
    /// <exception cref="HearthException">The guest cannot have all of it.</exception>
    public async Task JoinNetworkAsync(PodContainer container, CancellationToken cancellation)
    {
        try
        {
            await Machine.JoinNetworkAsync(cancellation).ConfigureAwait(false);
        }
        catch (HearthException e) when (container.Kind == BundleKind.Member)
        {
            Log.Error($"{container.Id}: {e.Message}");
        }
    }

    /// <summary>The same, and from now on whenever it changes.</summary>
    /// <param name="container">For whose sake.</param>
    /// <exception cref="HearthException">The guest cannot have all of it.</exception>
    public async Task FollowNetworkAsync(PodContainer container)
    {
        await _ending.WaitAsync().ConfigureAwait(false);
        try
        {
            _network ??= NetworkFollower.Start(this, Machine);
        }
        finally
        {
            _ending.Release();
        }

        await JoinNetworkAsync(container, CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>The machine has grown.</summary>
    public void HasSize(MachineSize size) => Size = size;

    /// <summary>Ends the machine, and with it every container. Doing it twice is no error.</summary>
    /// <param name="reason">For who asks later.</param>
    /// <param name="sandboxStatus">How the sandbox is said to have ended, in which nothing ran.</param>
    public async Task EndMachineAsync(string reason, uint sandboxStatus = ProcessExit.Killed)
    {
        await _ending.WaitAsync().ConfigureAwait(false);
        try
        {
            if (_machine is not { } machine)
            {
                return;
            }

            _reason = reason;
            _machine = null;
            MachinePaused = false;
            if (_network is not null)
            {
                await _network.DisposeAsync().ConfigureAwait(false);
                _network = null;
            }

            try
            {
                await machine.DisposeAsync().ConfigureAwait(false);
            }
            catch (Exception e)
            {
                // Whatever it was: its containers have ended, and that must be told.
                Log.Error($"The machine of pod \"{Options.PodId}\" was not cleaned up wholly: {e.Message}");
            }

            EndContainers(sandboxStatus);
            Feed.Publish(new PodEvent { MachineStopped = reason });
        }
        finally
        {
            _ending.Release();
        }
    }

    /// <summary>Tells what a process's end means, once; after the manager knows of its start.</summary>
    public async Task EndProcessAsync(PodContainer container, PodProcess process, ProcessExit exit)
    {
        await process.StartTold.ConfigureAwait(false);
        if (!process.TryExit(exit))
        {
            return;
        }

        try
        {
            if (exit.OutOfMemory && !container.OutOfMemory)
            {
                TellOutOfMemory(container);
            }

            Events.Publish("/tasks/exit", new TaskExit
            {
                ContainerId = container.Id,
                Id = process.ExecId.Length == 0 ? container.Id : process.ExecId,
                Pid = process.HostPid,
                ExitStatus = exit.Status,
                ExitedAt = exit.AtTimestamp,
            });
            Feed.Publish(process.ExecId.Length == 0
                ? new PodEvent { ContainerStopped = container.State() }
                : new PodEvent { ExecStopped = new ExecStopped { ContainerId = container.Id, ExecId = process.ExecId, ExitStatus = exit.Status } });
        }
        finally
        {
            // Who waits may remove it at once, which is told too: after this.
            process.TellExit();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await EndMachineAsync("The shim ends.").ConfigureAwait(false);
        await Events.DisposeAsync().ConfigureAwait(false);
        Loop.Stop();
        _loopThread.Join();
        Loop.Dispose();
    }

    private async Task WatchMachineAsync(IPodMachine machine)
    {
        Task first = await Task.WhenAny(machine.Stopped, machine.Agent.Closed).ConfigureAwait(false);
        if (first != machine.Stopped)
        {
            await Task.WhenAny(machine.Stopped, Task.Delay(s_machineFollowsAgent)).ConfigureAwait(false);
        }

        string reason = machine.Stopped.IsCompletedSuccessfully ? await machine.Stopped.ConfigureAwait(false) : "The guest's agent has closed its connection.";
        if (_machine == machine)
        {
            Log.Error($"The machine of pod \"{Options.PodId}\" has ended: {reason}");
            await EndMachineAsync(reason).ConfigureAwait(false);
        }
    }

    private async Task WatchMemoryAsync(IPodMachine machine)
    {
        try
        {
            using TtrpcStream<Event> events = await machine.Agent.EventsAsync().ConfigureAwait(false);
            await foreach (Event happened in events.ReadAllAsync().ConfigureAwait(false))
            {
                if (happened.OutOfMemory is { } memory && Find(memory.ContainerId) is { } container)
                {
                    TellOutOfMemory(container);
                }
            }
        }
        catch (TtrpcException)
        {
            // The agent is gone, which others see too.
        }
    }

    private void TellOutOfMemory(PodContainer container)
    {
        container.OutOfMemory = true;
        Events.Publish("/tasks/oom", new TaskOOM { ContainerId = container.Id });
        Feed.Publish(new PodEvent { OutOfMemory = container.Id });
    }

    private void EndContainers(uint sandboxStatus)
    {
        DateTimeOffset now = DateTimeOffset.UtcNow;
        foreach (PodContainer container in Containers)
        {
            container.Paused = false;
            var exit = new ProcessExit(container.Kind == BundleKind.Sandbox ? sandboxStatus : ProcessExit.Killed, now);
            foreach (PodProcess process in container.Execs.Values.Append(container.Init))
            {
                // A process that was never started ends too: nobody will tell of a start.
                if (process.Phase == ProcessPhase.Created)
                {
                    process.TellStart();
                }

                _ = EndProcessAsync(container, process, exit);
            }
        }
    }
}
