using Hearth.Configuration;
using Hearth.Shim.Bootstrap;
using Hearth.Shim.Events;
using Hearth.Shim.Machine;

namespace Hearth.Shim.Pods;

/// <summary>Boots a machine: <see cref="PodMachine.StartAsync"/>, or what a test has instead.</summary>
public delegate Task<IPodMachine> MachineStarter(PodMachineOptions options, CancellationToken cancellation);

/// <summary>What a shim knows when it begins.</summary>
public sealed record PodOptions
{
    /// <summary>The manager's, that the pod is in.</summary>
    public required string Namespace { get; init; }

    public required string PodId { get; init; }

    public required ShimPaths Paths { get; init; }

    /// <summary>Where events go; empty for nowhere.</summary>
    public string EventsAddress { get; init; } = "";

    public required ShimLog Log { get; init; }

    /// <summary>Reads the configuration; the path is what the manager's options name, or empty.</summary>
    public required Func<string, HearthConfig> ReadConfig { get; init; }

    public required MachineStarter StartMachine { get; init; }
}
