using System.Collections.Concurrent;
using Hearth.Oci.Runtime;
using Hearth.Shim.Bootstrap;
using Hearth.Shim.Protocol;
using Hearth.Shim.Specs;
using Hearth.Ttrpc;
using Timestamp = Google.Protobuf.WellKnownTypes.Timestamp;

namespace Hearth.Shim.Pods;

/// <summary>A container of the pod, or the pod's sandbox, in which nothing runs. Thread: any.</summary>
internal sealed class PodContainer
{
    public required string Id { get; init; }

    public required string Bundle { get; init; }

    public required BundleKind Kind { get; init; }

    /// <summary>The bundle's, as the manager wrote it.</summary>
    public required RuntimeSpec Spec { get; init; }

    public required HostHooks Hooks { get; init; }

    public required PodProcess Init { get; init; }

    /// <summary>Those that were added, by their names.</summary>
    public ConcurrentDictionary<string, PodProcess> Execs { get; } = new(StringComparer.Ordinal);

    public volatile bool Paused;

    /// <summary>The kernel has killed in it for its memory limit.</summary>
    public volatile bool OutOfMemory;

    /// <summary>The first process, or an added one.</summary>
    /// <exception cref="TtrpcException">NotFound.</exception>
    public PodProcess Process(string execId) => execId.Length == 0
        ? Init
        : Execs.GetValueOrDefault(execId) ?? throw new TtrpcException(StatusCode.NotFound, $"The container \"{Id}\" has no process \"{execId}\": not found.");

    /// <summary>As <see cref="PodStatus"/> has it.</summary>
    public ContainerState State()
    {
        var state = new ContainerState
        {
            ContainerId = Id,
            Pid = Init.GuestPid,
            OutOfMemory = OutOfMemory,
            Phase = Init.Phase switch
            {
                ProcessPhase.Created => ContainerState.Types.Phase.Created,
                ProcessPhase.Running => Paused ? ContainerState.Types.Phase.Paused : ContainerState.Types.Phase.Running,
                _ => ContainerState.Types.Phase.Stopped,
            },
        };
        if (Init.StartedAt is { } started)
        {
            state.StartedAt = Timestamp.FromDateTimeOffset(started);
        }

        if (Init.Exit is { } exit)
        {
            state.ExitStatus = exit.Status;
            state.ExitedAt = exit.AtTimestamp;
        }

        return state;
    }
}
