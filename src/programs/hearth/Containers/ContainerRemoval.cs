using Grpc.Core;
using Hearth.Cri.Protocol;
using Hearth.Programs.Hearth.Daemon;

namespace Hearth.Programs.Hearth.Containers;

/// <summary>Removing containers, and with one that <c>hearth run</c> made, its pod and its log.</summary>
internal static class ContainerRemoval
{
    public const long DefaultStopSeconds = 10;

    /// <summary>Whether the container's pod was made for it alone.</summary>
    public static bool HasOwnPod(Container container) => container.Labels.ContainsKey(RunRequests.OwnPodLabel);

    /// <summary>Where the logs of containers are that <c>hearth run</c> made: a folder each.</summary>
    public static string LogsOf(DaemonClient daemon, string uid) => Path.Combine(daemon.Settings.Config.Daemon.Root, "logs", uid);

    public static async Task StopAsync(DaemonClient daemon, Container container, long seconds, CancellationToken cancellation) =>
        await daemon.Runtime.StopContainerAsync(new StopContainerRequest { ContainerId = container.Id, Timeout = seconds }, cancellationToken: cancellation);

    /// <summary>Removes a container; what is gone already is no error.</summary>
    public static async Task RemoveAsync(DaemonClient daemon, Container container, CancellationToken cancellation)
    {
        if (HasOwnPod(container))
        {
            await RemovePodAsync(daemon, container.PodSandboxId, cancellation);
        }
        else
        {
            await daemon.Runtime.RemoveContainerAsync(new RemoveContainerRequest { ContainerId = container.Id }, cancellationToken: cancellation);
        }
    }

    /// <summary>Stops and removes a pod with all in it, and the log folder if it was <c>hearth run</c>'s.</summary>
    public static async Task RemovePodAsync(DaemonClient daemon, string podId, CancellationToken cancellation)
    {
        string? uid = null;
        try
        {
            PodSandboxStatusResponse pod = await daemon.Runtime.PodSandboxStatusAsync(new PodSandboxStatusRequest { PodSandboxId = podId }, cancellationToken: cancellation);
            uid = pod.Status.Labels.ContainsKey(RunRequests.OwnPodLabel) ? pod.Status.Metadata.Uid : null;
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.NotFound)
        {
            return;
        }

        await daemon.Runtime.StopPodSandboxAsync(new StopPodSandboxRequest { PodSandboxId = podId }, cancellationToken: cancellation);
        await daemon.Runtime.RemovePodSandboxAsync(new RemovePodSandboxRequest { PodSandboxId = podId }, cancellationToken: cancellation);
        if (uid is not null && Guid.TryParse(uid, out _))
        {
            DeleteLogs(LogsOf(daemon, uid));
        }
    }

    public static void DeleteLogs(string folder)
    {
        try
        {
            Directory.Delete(folder, recursive: true);
        }
        catch (DirectoryNotFoundException)
        {
            // No container of that pod has ever been made.
        }
    }
}
