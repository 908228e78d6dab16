using Hearth.Agent.Protocol;
using Hearth.Configuration;
using Hearth.Linux.Netlink;
using Hearth.Oci.Runtime;
using Hearth.Shim.Protocol.Tasks;

namespace Hearth.Shim.Machine;

/// <summary>What a pod's machine is made of.</summary>
public sealed record PodMachineOptions
{
    public required string PodId { get; init; }

    /// <summary>A folder of the pod's own, for sockets, the scratch disk and what is shared: made and removed by the machine.</summary>
    public required string Folder { get; init; }

    public required HearthConfig Config { get; init; }

    public required int Vcpus { get; init; }

    public required int MemoryMib { get; init; }

    /// <summary>The path of the pod's network namespace; null for one that the machine makes, without a network at first.</summary>
    public string? NetworkNamespace { get; init; }

    /// <summary>Interfaces in reserve, for a network that is empty at first.</summary>
    public int SpareInterfaces { get; init; }

    /// <summary>The cgroup that the manager wants the pod to be in; null if it does not say.</summary>
    public ManagerCgroup? Cgroup { get; init; }

    public string Hostname { get; init; } = "";

    /// <summary>Told what the host does not have for the pod, which runs without it. Thread: any.</summary>
    public Action<string> Warn { get; init; } = static _ => { };

    /// <summary>Told how the start went, for who looks into it. Thread: any.</summary>
    public Action<string> Detail { get; init; } = static _ => { };

    public IReadOnlyDictionary<string, string> Sysctls { get; init; } = new Dictionary<string, string>();
}

/// <summary>
/// A pod's microVM as the task service sees it: a monitor's process, driven by the Firecracker API, and the agent in it.
/// Everything it takes from the host (process, TAP, mounts, files) it gives back when it is disposed. Thread: any.
/// </summary>
public interface IPodMachine : IAsyncDisposable
{
    /// <summary>The monitor's process on the host.</summary>
    int MonitorPid { get; }

    /// <summary>Of the Firecracker API, as the monitor says.</summary>
    string MonitorVersion { get; }

    /// <summary>What holds the monitor, looked at now; null for a monitor without a jail.</summary>
    PodJail? Jail { get; }

    /// <summary>The agent, which has answered.</summary>
    AgentClient Agent { get; }

    /// <summary>Completes when the machine has ended, with the reason and the last lines of the guest's console.</summary>
    Task<string> Stopped { get; }

    /// <summary>Makes a container's root file system reachable in the guest (docs/shim-protocol.md, Root file systems).</summary>
    /// <param name="containerId">Of whom it is, for <see cref="DetachAsync"/>.</param>
    /// <param name="bundle">The bundle's folder, for a root that <paramref name="rootfs"/> does not have.</param>
    /// <param name="spec">The bundle's specification.</param>
    /// <param name="rootfs">As the manager gave it.</param>
    /// <param name="cancellation">Ends the attempt; nothing is left attached.</param>
    Task<RootFilesystem> AttachRootAsync(string containerId, string bundle, RuntimeSpec spec, IReadOnlyList<Mount> rootfs, CancellationToken cancellation);

    /// <summary>Makes the volumes among a container's mounts reachable in the guest.</summary>
    /// <returns>The mounts as the guest is to make them: sources are paths of the guest.</returns>
    Task<IReadOnlyList<MountSpec>> AttachVolumesAsync(string containerId, IReadOnlyList<MountSpec> mounts, CancellationToken cancellation);

    /// <summary>Takes away what a container had, after the agent has removed it. Never fails for what is gone already.</summary>
    Task DetachAsync(string containerId);

    /// <summary>Opens a TCP connection to a port of the guest's loopback interface.</summary>
    Task<Stream> ConnectPortAsync(ushort port, CancellationToken cancellation);

    /// <summary>Gives the guest the interfaces that have come into the pod's network namespace since, if it had none, and takes those that have gone.</summary>
    /// <exception cref="Hearth.Linux.HearthException">There are more than were kept in reserve.</exception>
    Task JoinNetworkAsync(CancellationToken cancellation);

    /// <summary>Watches for a change that <see cref="JoinNetworkAsync"/> would see; null where there can be none.</summary>
    RouteWatch? WatchNetwork();

    /// <summary>Lets the guest ask a resolver that is in the pod's network namespace, on the loopback there. Doing it twice is no error.</summary>
    Task ServeNamesAsync(System.Net.IPAddress resolver, CancellationToken cancellation);

    /// <summary>Stops the guest's processors.</summary>
    Task PauseAsync(CancellationToken cancellation);

    Task ResumeAsync(CancellationToken cancellation);

    /// <summary>Grows what can be grown of the machine. What cannot is a HearthException that says so.</summary>
    Task UpdateAsync(int vcpus, int memoryMib, CancellationToken cancellation);
}
