using Google.Protobuf;
using Grpc.Core;
using Hearth.Cri.Protocol;
using Hearth.Runtime.Pods;
using Container = Hearth.Cri.Protocol.Container;

namespace Hearth.Programs.Daemon.Cri;

/// <content>Containers.</content>
internal sealed partial class RuntimeServer
{
    // What clients of CRI take in one message, less what stands around the output.
    private const int MaxOutputBytes = (16 << 20) - 1024;

    public override async Task<CreateContainerResponse> CreateContainer(CreateContainerRequest request, ServerCallContext context) => new()
    {
        ContainerId = await runtime.CreateContainerAsync(Id(request.PodSandboxId, "pod"), FromCri.Container(request.Config), context.CancellationToken).ConfigureAwait(false),
    };

    public override async Task<StartContainerResponse> StartContainer(StartContainerRequest request, ServerCallContext context)
    {
        await runtime.StartContainerAsync(Id(request.ContainerId, "container"), context.CancellationToken).ConfigureAwait(false);
        return new StartContainerResponse();
    }

    public override async Task<StopContainerResponse> StopContainer(StopContainerRequest request, ServerCallContext context)
    {
        await runtime.StopContainerAsync(Id(request.ContainerId, "container"), Seconds(request.Timeout) ?? TimeSpan.Zero, context.CancellationToken).ConfigureAwait(false);
        return new StopContainerResponse();
    }

    public override async Task<RemoveContainerResponse> RemoveContainer(RemoveContainerRequest request, ServerCallContext context)
    {
        await runtime.RemoveContainerAsync(Id(request.ContainerId, "container"), context.CancellationToken).ConfigureAwait(false);
        return new RemoveContainerResponse();
    }

    public override Task<ListContainersResponse> ListContainers(ListContainersRequest request, ServerCallContext context)
    {
        var response = new ListContainersResponse();
        response.Containers.Add(Containers(request.Filter));
        return Task.FromResult(response);
    }

    public override Task StreamContainers(StreamContainersRequest request, IServerStreamWriter<StreamContainersResponse> responseStream, ServerCallContext context) =>
        SendAsync(Containers(request.Filter), static part => new StreamContainersResponse { Containers = { part } }, responseStream, context.CancellationToken);

    public override async Task<ContainerStatusResponse> ContainerStatus(ContainerStatusRequest request, ServerCallContext context)
    {
        Runtime.Pods.Container container = runtime.GetContainer(Id(request.ContainerId, "container"));
        var response = new ContainerStatusResponse { Status = ToCri.Status(container) };
        if (request.Verbose)
        {
            ToCri.Add(response.Info, await runtime.DescribeContainerAsync(container.Id, context.CancellationToken).ConfigureAwait(false));
        }

        return response;
    }

    public override async Task<UpdateContainerResourcesResponse> UpdateContainerResources(UpdateContainerResourcesRequest request, ServerCallContext context)
    {
        string id = Id(request.ContainerId, "container");
        if (FromCri.Resources(request.Linux) is { } resources)
        {
            await runtime.UpdateContainerResourcesAsync(id, resources, context.CancellationToken).ConfigureAwait(false);
        }

        return new UpdateContainerResourcesResponse();
    }

    public override async Task<ReopenContainerLogResponse> ReopenContainerLog(ReopenContainerLogRequest request, ServerCallContext context)
    {
        await runtime.ReopenLogAsync(Id(request.ContainerId, "container"), context.CancellationToken).ConfigureAwait(false);
        return new ReopenContainerLogResponse();
    }

    public override async Task<ExecSyncResponse> ExecSync(ExecSyncRequest request, ServerCallContext context)
    {
        ExecResult result = await runtime.ExecSyncAsync(
            Id(request.ContainerId, "container"), Command(request.Cmd), Seconds(request.Timeout), context.CancellationToken).ConfigureAwait(false);
        int stdout = Math.Min(result.Stdout.Length, MaxOutputBytes);
        return new ExecSyncResponse
        {
            Stdout = UnsafeByteOperations.UnsafeWrap(result.Stdout.AsMemory(0, stdout)),
            Stderr = UnsafeByteOperations.UnsafeWrap(result.Stderr.AsMemory(0, Math.Min(result.Stderr.Length, MaxOutputBytes - stdout))),
            ExitCode = result.ExitCode,
        };
    }

    public override async Task<CheckpointContainerResponse> CheckpointContainer(CheckpointContainerRequest request, ServerCallContext context)
    {
        await runtime.CheckpointContainerAsync(Id(request.ContainerId, "container"), request.Location, context.CancellationToken).ConfigureAwait(false);
        return new CheckpointContainerResponse();
    }

    private static IReadOnlyList<string> Command(IReadOnlyList<string> command) =>
        command.Count > 0 ? [.. command] : throw new PodException(PodFault.InvalidArgument, "The command is empty.");

    /// <returns>Null for none.</returns>
    private static TimeSpan? Seconds(long seconds) => seconds switch
    {
        < 0 => throw new PodException(PodFault.InvalidArgument, $"A timeout of {seconds} s: it cannot be negative."),
        0 => null,
        // Longer than anybody waits, and short enough to add to any time.
        _ => TimeSpan.FromSeconds(Math.Min(seconds, 10L * 365 * 24 * 3600)),
    };

    private IEnumerable<Container> Containers(Hearth.Cri.Protocol.ContainerFilter? filter) => runtime.ListContainers(FromCri.ContainerFilter(filter)).Select(ToCri.Listed);
}
