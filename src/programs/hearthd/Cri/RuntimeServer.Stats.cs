using Grpc.Core;
using Hearth.Cri.Protocol;

namespace Hearth.Programs.Daemon.Cri;

/// <content>What pods and containers use.</content>
internal sealed partial class RuntimeServer
{
    public override async Task<ContainerStatsResponse> ContainerStats(ContainerStatsRequest request, ServerCallContext context) => new()
    {
        Stats = UsageToCri.Container(await runtime.ContainerStatsAsync(Id(request.ContainerId, "container"), context.CancellationToken).ConfigureAwait(false)),
    };

    public override async Task<ListContainerStatsResponse> ListContainerStats(ListContainerStatsRequest request, ServerCallContext context)
    {
        var response = new ListContainerStatsResponse();
        response.Stats.Add(await ContainerUsagesAsync(request.Filter, context).ConfigureAwait(false));
        return response;
    }

    public override async Task StreamContainerStats(StreamContainerStatsRequest request, IServerStreamWriter<StreamContainerStatsResponse> responseStream, ServerCallContext context) =>
        await SendAsync(
            await ContainerUsagesAsync(request.Filter, context).ConfigureAwait(false),
            static part => new StreamContainerStatsResponse { ContainerStats = { part } },
            responseStream,
            context.CancellationToken).ConfigureAwait(false);

    public override async Task<PodSandboxStatsResponse> PodSandboxStats(PodSandboxStatsRequest request, ServerCallContext context) => new()
    {
        Stats = UsageToCri.Pod(await runtime.PodStatsAsync(Id(request.PodSandboxId, "pod"), context.CancellationToken).ConfigureAwait(false)),
    };

    public override async Task<ListPodSandboxStatsResponse> ListPodSandboxStats(ListPodSandboxStatsRequest request, ServerCallContext context)
    {
        var response = new ListPodSandboxStatsResponse();
        response.Stats.Add(await PodUsagesAsync(request.Filter, context).ConfigureAwait(false));
        return response;
    }

    public override async Task StreamPodSandboxStats(StreamPodSandboxStatsRequest request, IServerStreamWriter<StreamPodSandboxStatsResponse> responseStream, ServerCallContext context) =>
        await SendAsync(
            await PodUsagesAsync(request.Filter, context).ConfigureAwait(false),
            static part => new StreamPodSandboxStatsResponse { PodSandboxStats = { part } },
            responseStream,
            context.CancellationToken).ConfigureAwait(false);

    public override Task<ListMetricDescriptorsResponse> ListMetricDescriptors(ListMetricDescriptorsRequest request, ServerCallContext context)
    {
        var response = new ListMetricDescriptorsResponse();
        response.Descriptors.Add(PodMetrics.Descriptors());
        return Task.FromResult(response);
    }

    public override async Task<ListPodSandboxMetricsResponse> ListPodSandboxMetrics(ListPodSandboxMetricsRequest request, ServerCallContext context)
    {
        var response = new ListPodSandboxMetricsResponse();
        response.PodMetrics.Add(await PodMetricsAsync(context).ConfigureAwait(false));
        return response;
    }

    public override async Task StreamPodSandboxMetrics(StreamPodSandboxMetricsRequest request, IServerStreamWriter<StreamPodSandboxMetricsResponse> responseStream, ServerCallContext context) =>
        await SendAsync(
            await PodMetricsAsync(context).ConfigureAwait(false),
            static part => new StreamPodSandboxMetricsResponse { PodSandboxMetrics = { part } },
            responseStream,
            context.CancellationToken).ConfigureAwait(false);

    private async Task<IEnumerable<ContainerStats>> ContainerUsagesAsync(ContainerStatsFilter? filter, ServerCallContext context) =>
        (await runtime.ListContainerStatsAsync(FromCri.ContainerFilter(filter), context.CancellationToken).ConfigureAwait(false)).Select(UsageToCri.Container);

    private async Task<IEnumerable<PodSandboxStats>> PodUsagesAsync(PodSandboxStatsFilter? filter, ServerCallContext context) =>
        (await runtime.ListPodStatsAsync(FromCri.PodFilter(filter), context.CancellationToken).ConfigureAwait(false)).Select(UsageToCri.Pod);

    private async Task<IEnumerable<PodSandboxMetrics>> PodMetricsAsync(ServerCallContext context) =>
        (await runtime.ListPodStatsAsync(cancellation: context.CancellationToken).ConfigureAwait(false)).Select(PodMetrics.Of);
}
