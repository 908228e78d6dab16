using Grpc.Core;
using Hearth.Cri.Protocol;
using Hearth.Runtime.Pods;

namespace Hearth.Programs.Daemon.Cri;

/// <content>Pods.</content>
internal sealed partial class RuntimeServer
{
    public override async Task<RunPodSandboxResponse> RunPodSandbox(RunPodSandboxRequest request, ServerCallContext context) => new()
    {
        PodSandboxId = await runtime.RunPodAsync(FromCri.Pod(request.Config), request.RuntimeHandler, context.CancellationToken).ConfigureAwait(false),
    };

    public override async Task<StopPodSandboxResponse> StopPodSandbox(StopPodSandboxRequest request, ServerCallContext context)
    {
        await runtime.StopPodAsync(Id(request.PodSandboxId, "pod"), context.CancellationToken).ConfigureAwait(false);
        return new StopPodSandboxResponse();
    }

    public override async Task<RemovePodSandboxResponse> RemovePodSandbox(RemovePodSandboxRequest request, ServerCallContext context)
    {
        await runtime.RemovePodAsync(Id(request.PodSandboxId, "pod"), context.CancellationToken).ConfigureAwait(false);
        return new RemovePodSandboxResponse();
    }

    public override async Task<PodSandboxStatusResponse> PodSandboxStatus(PodSandboxStatusRequest request, ServerCallContext context)
    {
        Pod pod = runtime.GetPod(Id(request.PodSandboxId, "pod"));
        var response = new PodSandboxStatusResponse { Status = ToCri.Status(pod), Timestamp = ToCri.Time(DateTimeOffset.UtcNow) };
        response.ContainersStatuses.Add(runtime.ListContainers(new Runtime.Pods.ContainerFilter { PodId = pod.Id }).Select(ToCri.Status));
        if (request.Verbose)
        {
            ToCri.Add(response.Info, await runtime.DescribePodAsync(pod.Id, context.CancellationToken).ConfigureAwait(false));
        }

        return response;
    }

    public override Task<ListPodSandboxResponse> ListPodSandbox(ListPodSandboxRequest request, ServerCallContext context)
    {
        var response = new ListPodSandboxResponse();
        response.Items.Add(Pods(request.Filter));
        return Task.FromResult(response);
    }

    public override Task StreamPodSandboxes(StreamPodSandboxesRequest request, IServerStreamWriter<StreamPodSandboxesResponse> responseStream, ServerCallContext context) =>
        SendAsync(Pods(request.Filter), static part => new StreamPodSandboxesResponse { PodSandboxes = { part } }, responseStream, context.CancellationToken);

    public override async Task<UpdatePodSandboxResourcesResponse> UpdatePodSandboxResources(UpdatePodSandboxResourcesRequest request, ServerCallContext context)
    {
        await runtime.UpdatePodResourcesAsync(
            Id(request.PodSandboxId, "pod"), FromCri.Resources(request.Overhead), FromCri.Resources(request.Resources), context.CancellationToken).ConfigureAwait(false);
        return new UpdatePodSandboxResourcesResponse();
    }

    internal static string Id(string id, string of) =>
        id.Length > 0 ? id : throw new PodException(PodFault.InvalidArgument, $"The {of}'s ID is missing.");

    private IEnumerable<PodSandbox> Pods(PodSandboxFilter? filter) => runtime.ListPods(FromCri.PodFilter(filter)).Select(ToCri.Listed);
}
