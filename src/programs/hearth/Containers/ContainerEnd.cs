using Grpc.Core;
using Hearth.Cri.Protocol;
using Hearth.Programs.Hearth.Daemon;

namespace Hearth.Programs.Hearth.Containers;

/// <summary>Waits for a container's end: told by events, and looking now and then, for those that were missed.</summary>
internal static class ContainerEnd
{
    private static readonly TimeSpan s_look = TimeSpan.FromSeconds(1);

    /// <returns>Its last status; null if the container was removed.</returns>
    public static async Task<ContainerStatus?> WaitAsync(DaemonClient daemon, string containerId, CancellationToken cancellation)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        using var happened = new SemaphoreSlim(0);
        Task listening = ListenAsync(daemon, containerId, happened, over.Token);
        try
        {
            while (true)
            {
                ContainerStatus? status = await ListCommands.TryStatusAsync(daemon, containerId, cancellation);
                if (status is null or { State: ContainerState.ContainerExited })
                {
                    return status;
                }

                await happened.WaitAsync(s_look, cancellation);
            }
        }
        finally
        {
            await over.CancelAsync();
            await listening;
        }
    }

    private static async Task ListenAsync(DaemonClient daemon, string containerId, SemaphoreSlim happened, CancellationToken cancellation)
    {
        try
        {
            using AsyncServerStreamingCall<ContainerEventResponse> events = daemon.Runtime.GetContainerEvents(new GetEventsRequest(), cancellationToken: cancellation);
            while (await events.ResponseStream.MoveNext(cancellation))
            {
                if (events.ResponseStream.Current.ContainerId == containerId)
                {
                    happened.Release();
                }
            }
        }
        catch (Exception e) when (e is RpcException or OperationCanceledException)
        {
            // Looking goes on without.
        }
    }
}
