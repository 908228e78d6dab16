using System.Globalization;
using System.Runtime.InteropServices;
using Google.Protobuf.WellKnownTypes;
using Hearth.Oci.Runtime;
using Hearth.Shim.Pods;
using Hearth.Shim.Protocol;
using Hearth.Shim.Protocol.Sandboxes;
using Hearth.Shim.Protocol.Tasks;
using Hearth.Shim.Specs;
using Hearth.Ttrpc;

namespace Hearth.Shim.Service;

/// <summary>
/// containerd's sandbox service: the pod itself, for which no container stands. What is made is the same as of a bundle of a sandbox, and the
/// task service knows it too. Source: docs/shim-protocol.md, The sandbox service. Thread: any.
/// </summary>
internal sealed class SandboxService(Pod pod, Action shutDown)
{
    // Names of CRI's PodSandboxState.
    private const string ReadyState = "SANDBOX_READY";
    private const string NotReadyState = "SANDBOX_NOTREADY";

    private readonly ProcessControl _processes = new(pod);
    private readonly ResourceControl _resources = new(pod);

    public static TtrpcService Create(SandboxService sandboxes) => new TtrpcService(TaskServices.Sandbox)
        .Unary<CreateSandboxRequest, CreateSandboxResponse>("CreateSandbox", CreateSandboxRequest.Parser, (request, call) => sandboxes.CreateAsync(request, call.Cancellation))
        .Unary<StartSandboxRequest, StartSandboxResponse>("StartSandbox", StartSandboxRequest.Parser, sandboxes.StartAsync)
        .Unary<PlatformRequest, PlatformResponse>("Platform", PlatformRequest.Parser, (request, _) => Task.FromResult(sandboxes.Platform(request)))
        .Unary<StopSandboxRequest, StopSandboxResponse>("StopSandbox", StopSandboxRequest.Parser, (request, _) => sandboxes.StopAsync(request))
        .Unary<WaitSandboxRequest, WaitSandboxResponse>("WaitSandbox", WaitSandboxRequest.Parser, (request, call) => sandboxes.WaitAsync(request, call.Cancellation))
        .Unary<SandboxStatusRequest, SandboxStatusResponse>("SandboxStatus", SandboxStatusRequest.Parser, (request, _) => Task.FromResult(sandboxes.Status(request)))
        .Unary<PingRequest, PingResponse>("PingSandbox", PingRequest.Parser, (request, _) => Task.FromResult(sandboxes.Ping(request)))
        .Unary<ShutdownSandboxRequest, ShutdownSandboxResponse>("ShutdownSandbox", ShutdownSandboxRequest.Parser, sandboxes.ShutdownAsync)
        .Unary<SandboxMetricsRequest, SandboxMetricsResponse>("SandboxMetrics", SandboxMetricsRequest.Parser, (request, call) => sandboxes.MetricsAsync(request, call.Cancellation));

    private async Task<CreateSandboxResponse> CreateAsync(CreateSandboxRequest request, CancellationToken cancellation)
    {
        CheckPod(request.SandboxId);
        PodSandboxConfig? config = SandboxSpec.ConfigOf(request);
        RuntimeSpec spec = SandboxSpec.Of(request, config);
        if (pod.Find(request.SandboxId) is not null)
        {
            throw new TtrpcException(StatusCode.AlreadyExists, $"There is a pod \"{request.SandboxId}\" already.");
        }

        if (config is not null)
        {
            pod.Names = WriteNames(request.BundlePath, config);
        }

        await new ContainerCreation(pod, new CreateTaskRequest { Id = request.SandboxId, Bundle = request.BundlePath }, spec).RunAsync(shutDown, cancellation).ConfigureAwait(false);
        return new CreateSandboxResponse();
    }

    private async Task<StartSandboxResponse> StartAsync(StartSandboxRequest request, CallContext call)
    {
        PodContainer sandbox = Get(request.SandboxId);
        StartResponse started = await _processes.StartAsync(new StartRequest { Id = request.SandboxId }, call).ConfigureAwait(false);
        return new StartSandboxResponse { Pid = started.Pid, CreatedAt = StartedAt(sandbox) };
    }

    // Of the guest's machine, which is as the host's.
    private PlatformResponse Platform(PlatformRequest request)
    {
        CheckPod(request.SandboxId);
        return new PlatformResponse
        {
            Platform = new Platform { Os = "linux", Architecture = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? "amd64" : RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant() },
        };
    }

    // One that has stopped already is stopped; its containers have ended with it.
    private async Task<StopSandboxResponse> StopAsync(StopSandboxRequest request)
    {
        _ = Get(request.SandboxId);
        Task ended = pod.EndMachineAsync("The pod was stopped.");
        try
        {
            await (request.TimeoutSecs > 0 ? ended.WaitAsync(TimeSpan.FromSeconds(request.TimeoutSecs)) : ended).ConfigureAwait(false);
        }
        catch (TimeoutException e)
        {
            throw new TtrpcException(StatusCode.DeadlineExceeded, $"The pod's machine has not ended in {request.TimeoutSecs} s: it still does.", e);
        }

        return new StopSandboxResponse();
    }

    private async Task<WaitSandboxResponse> WaitAsync(WaitSandboxRequest request, CancellationToken cancellation)
    {
        ProcessExit exit = await Get(request.SandboxId).Init.Exited.WaitAsync(cancellation).ConfigureAwait(false);
        return new WaitSandboxResponse { ExitStatus = exit.Status, ExitedAt = exit.AtTimestamp };
    }

    private SandboxStatusResponse Status(SandboxStatusRequest request)
    {
        PodProcess process = Get(request.SandboxId).Init;
        var status = new SandboxStatusResponse
        {
            SandboxId = request.SandboxId,
            Pid = process.Phase == ProcessPhase.Stopped ? 0 : process.HostPid,
            State = process.Phase == ProcessPhase.Running ? ReadyState : NotReadyState,
            CreatedAt = StartedAt(Get(request.SandboxId)),
            ExitedAt = process.Exit?.AtTimestamp,
        };
        if (request.Verbose)
        {
            status.Info.Add("monitor_version", pod.MonitorVersion);
            status.Info.Add("vcpus", pod.Size.Vcpus.ToString(CultureInfo.InvariantCulture));
            status.Info.Add("memory_mib", pod.Size.MemoryMib.ToString(CultureInfo.InvariantCulture));
            status.Info.Add("reason", pod.Reason);
        }

        return status;
    }

    private PingResponse Ping(PingRequest request) => Get(request.SandboxId).Init.Phase == ProcessPhase.Stopped
        ? throw new TtrpcException(StatusCode.Unavailable, $"The pod's machine does not run. {pod.Reason}")
        : new PingResponse();

    // Asked too after a pod could not be made: then there is only the shim to end.
    private async Task<ShutdownSandboxResponse> ShutdownAsync(ShutdownSandboxRequest request, CallContext call)
    {
        CheckPod(request.SandboxId);
        await pod.EndMachineAsync("The pod was removed.").ConfigureAwait(false);
        if (pod.Find(request.SandboxId) is { } sandbox)
        {
            await sandbox.Hooks.RunStoppedAsync().ConfigureAwait(false);
        }

        call.Answered = shutDown;
        return new ShutdownSandboxResponse();
    }

    private async Task<SandboxMetricsResponse> MetricsAsync(SandboxMetricsRequest request, CancellationToken cancellation)
    {
        Hearth.Shim.Protocol.Tasks.StatsResponse stats = await _resources.StatsAsync(Get(request.SandboxId).Id, cancellation).ConfigureAwait(false);
        return new SandboxMetricsResponse
        {
            Metrics = new Metric { Id = request.SandboxId, Timestamp = Timestamp.FromDateTimeOffset(DateTimeOffset.UtcNow), Data = stats.Stats },
        };
    }

    private static PodNames WriteNames(string bundle, PodSandboxConfig config)
    {
        try
        {
            return PodNames.Write(bundle, SandboxSpec.HostnameOf(config), config);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new TtrpcException(StatusCode.Unknown, $"The files of the pod's names cannot be written: {e.Message}", e);
        }
    }

    private static Timestamp? StartedAt(PodContainer sandbox) => sandbox.Init.StartedAt is { } started ? Timestamp.FromDateTimeOffset(started) : null;

    private PodContainer Get(string id)
    {
        CheckPod(id);
        return pod.Find(id) ?? throw new TtrpcException(StatusCode.NotFound, $"The pod \"{id}\" was not created: not found.");
    }

    private void CheckPod(string id)
    {
        if (id != pod.Options.PodId)
        {
            throw new TtrpcException(StatusCode.NotFound, $"There is no pod \"{id}\" here, this is the shim of \"{pod.Options.PodId}\": not found.");
        }
    }
}
