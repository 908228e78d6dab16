using System.Reflection;
using Google.Protobuf;
using Grpc.Core;
using Hearth.Cri.Protocol;
using Hearth.Programs.Daemon.Streaming;
using Hearth.Runtime.Pods;

namespace Hearth.Programs.Daemon.Cri;

/// <summary>
/// CRI's RuntimeService: each call translated to one of <see cref="PodRuntime"/> and back; failures leave through
/// <see cref="CallInterceptor"/>. This file has what is about the runtime itself. Thread: any.
/// </summary>
internal sealed partial class RuntimeServer(PodRuntime runtime, StreamingServer streaming, IHostApplicationLifetime lifetime)
    : RuntimeService.RuntimeServiceBase
{
    /// <summary>Of the program.</summary>
    public static string ProgramVersion { get; } =
        typeof(RuntimeServer).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0";

    public override Task<VersionResponse> Version(VersionRequest request, ServerCallContext context) => Task.FromResult(new VersionResponse
    {
        // Of the kubelet's own protocol, which has been this since the first.
        Version = "0.1.0",
        RuntimeName = "hearth",
        RuntimeVersion = ProgramVersion,
        RuntimeApiVersion = "v1",
    });

    public override async Task<StatusResponse> Status(StatusRequest request, ServerCallContext context)
    {
        Runtime.Pods.RuntimeStatus now = await runtime.StatusAsync(context.CancellationToken).ConfigureAwait(false);
        var response = new StatusResponse
        {
            Status = new Hearth.Cri.Protocol.RuntimeStatus
            {
                Conditions =
                {
                    new RuntimeCondition { Type = "RuntimeReady", Status = now.Ready, Reason = now.Reason, Message = now.Message },
                    new RuntimeCondition { Type = "NetworkReady", Status = now.NetworkReady, Reason = now.NetworkReason, Message = now.NetworkMessage },
                },
            },
            Features = new RuntimeFeatures { SupplementalGroupsPolicy = true },
        };
        response.RuntimeHandlers.Add(now.Handlers.Select(static handler => new RuntimeHandler
        {
            Name = handler.Name,
            Features = new RuntimeHandlerFeatures { RecursiveReadOnlyMounts = handler.RecursiveReadonlyMounts, UserNamespaces = handler.UserNamespaces },
        }));
        if (request.Verbose)
        {
            foreach (HandlerStatus handler in now.Handlers.Where(static handler => handler.Name.Length > 0))
            {
                response.Info[$"handler.{handler.Name}"] = VerboseInfo.Handler(handler);
            }

            response.Info["daemon"] = VerboseInfo.Daemon(ProgramVersion, streaming.BaseUrl);
        }

        return response;
    }

    public override Task<UpdateRuntimeConfigResponse> UpdateRuntimeConfig(UpdateRuntimeConfigRequest request, ServerCallContext context)
    {
        if (request.RuntimeConfig?.NetworkConfig?.PodCidr is { Length: > 0 } cidr)
        {
            runtime.SetPodCidr(cidr);
        }

        return Task.FromResult(new UpdateRuntimeConfigResponse());
    }

    /// <summary>Cgroups are folders that Hearth makes itself: a pod's parent is a path, not a systemd slice.</summary>
    public override Task<RuntimeConfigResponse> RuntimeConfig(RuntimeConfigRequest request, ServerCallContext context) =>
        Task.FromResult(new RuntimeConfigResponse { Linux = new LinuxRuntimeConfiguration { CgroupDriver = CgroupDriver.Cgroupfs } });

    public override async Task GetContainerEvents(GetEventsRequest request, IServerStreamWriter<ContainerEventResponse> responseStream, ServerCallContext context)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopping);
        try
        {
            await foreach (PodChange change in runtime.WatchAsync(end.Token).ConfigureAwait(false))
            {
                var response = new ContainerEventResponse
                {
                    ContainerId = change.Id,
                    ContainerEventType = change.Kind switch
                    {
                        ChangeKind.Created => ContainerEventType.ContainerCreatedEvent,
                        ChangeKind.Started => ContainerEventType.ContainerStartedEvent,
                        ChangeKind.Stopped => ContainerEventType.ContainerStoppedEvent,
                        _ => ContainerEventType.ContainerDeletedEvent,
                    },
                    CreatedAt = ToCri.Time(change.At),
                    PodSandboxStatus = change.Pod is { } pod ? ToCri.Status(pod) : null,
                };
                response.ContainersStatuses.Add(change.Containers.Select(ToCri.Status));
                await responseStream.WriteAsync(response, end.Token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (lifetime.ApplicationStopping.IsCancellationRequested)
        {
            throw new RpcException(new Status(StatusCode.Unavailable, "The daemon is stopping. Ask its successor."));
        }
    }

    /// <summary>Sends a list in parts that fit well into a message.</summary>
    private static async Task SendAsync<TItem, TResponse>(
        IEnumerable<TItem> items, Func<IEnumerable<TItem>, TResponse> response, IServerStreamWriter<TResponse> stream, CancellationToken cancellation)
        where TItem : IMessage
    {
        const int PartItems = 256;
        const int PartBytes = 1 << 20;
        var part = new List<TItem>();
        int bytes = 0;
        foreach (TItem item in items)
        {
            int size = item.CalculateSize();
            if (part.Count == PartItems || (part.Count > 0 && bytes + size > PartBytes))
            {
                await stream.WriteAsync(response(part), cancellation).ConfigureAwait(false);
                part.Clear();
                bytes = 0;
            }

            part.Add(item);
            bytes += size;
        }

        if (part.Count > 0)
        {
            await stream.WriteAsync(response(part), cancellation).ConfigureAwait(false);
        }
    }
}
