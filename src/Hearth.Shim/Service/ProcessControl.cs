using System.Text.Json;
using Google.Protobuf;
using Hearth.Agent.Protocol;
using Hearth.Linux.Native;
using Hearth.Oci.Runtime;
using Hearth.Shim.Bootstrap;
using Hearth.Shim.Machine;
using Hearth.Shim.Pods;
using Hearth.Shim.Protocol;
using Hearth.Shim.Protocol.Tasks;
using Hearth.Shim.Specs;
using Hearth.Shim.Streams;
using Hearth.Ttrpc;
using ExecProcessRequest = Hearth.Shim.Protocol.Tasks.ExecProcessRequest;

namespace Hearth.Shim.Service;

/// <summary>Starting, adding, signalling processes. Thread: any.</summary>
internal sealed class ProcessControl(Pod pod)
{
    private const uint ShellBase = 128;
    private static readonly TimeSpan s_endPatience = TimeSpan.FromSeconds(5);

    public async Task<StartResponse> StartAsync(StartRequest request, CallContext call)
    {
        PodContainer container = pod.Get(request.Id);
        PodProcess process = container.Process(request.ExecId);
        await process.Changing.WaitAsync(call.Cancellation).ConfigureAwait(false);
        try
        {
            if (process.Phase != ProcessPhase.Created)
            {
                throw new TtrpcException(StatusCode.FailedPrecondition, $"cannot start a process that is {process.Phase.ToString().ToLowerInvariant()}: \"{request.Id}\" \"{request.ExecId}\"");
            }

            if (request.ExecId.Length == 0)
            {
                await StartFirstAsync(container).ConfigureAwait(false);
            }
            else
            {
                await StartAddedAsync(container, process).ConfigureAwait(false);
            }

            // Its end is told after this answer.
            call.Answered = process.TellStart;
            return new StartResponse { Pid = process.HostPid };
        }
        catch
        {
            process.TellStart();
            throw;
        }
        finally
        {
            process.Changing.Release();
        }
    }

    public Task AddAsync(ExecProcessRequest request)
    {
        PodContainer container = pod.Get(request.Id);
        if (request.ExecId.Length == 0)
        {
            throw new TtrpcException(StatusCode.InvalidArgument, "A process that is added has a name: exec_id is empty.");
        }

        if (container.Kind == BundleKind.Sandbox)
        {
            throw new TtrpcException(StatusCode.FailedPrecondition, $"\"{request.Id}\" is a pod's sandbox, in which nothing runs: add processes to its containers.");
        }

        if (request.Spec is not { } spec || !spec.TypeUrl.EndsWith("/Process", StringComparison.Ordinal))
        {
            throw new TtrpcException(StatusCode.InvalidArgument, $"A process is {TaskServices.ProcessType} as JSON; this is \"{request.Spec?.TypeUrl}\".");
        }

        ProcessSpec wanted = JsonSerializer.Deserialize(spec.Value.Span, RuntimeJson.Default.ProcessSpec) ?? throw new JsonException("The process is null.");
        var process = new PodProcess
        {
            ContainerId = request.Id,
            ExecId = request.ExecId,
            Spec = wanted,
            HostPid = container.Init.HostPid,
            Stdio = new StdioRequest
            {
                Namespace = pod.Options.Namespace,
                ContainerId = request.Id,
                ExecId = request.ExecId,
                Stdin = request.Stdin,
                Stdout = request.Stdout,
                Stderr = request.Stderr,
                Terminal = request.Terminal,
            },
        };
        if (!container.Execs.TryAdd(request.ExecId, process))
        {
            throw new TtrpcException(StatusCode.AlreadyExists, $"The container \"{request.Id}\" has a process \"{request.ExecId}\" already.");
        }

        pod.Events.Publish("/tasks/exec-added", new TaskExecAdded { ContainerId = request.Id, ExecId = request.ExecId });
        return Task.CompletedTask;
    }

    public async Task KillAsync(KillRequest request, CancellationToken cancellation)
    {
        PodContainer container = pod.Get(request.Id);
        PodProcess process = container.Process(request.ExecId);
        if (process.Phase == ProcessPhase.Stopped)
        {
            throw Finished();
        }

        if (container.Kind == BundleKind.Sandbox)
        {
            // Whatever the signal: nothing in it could handle one.
            _ = pod.EndMachineAsync("The pod was stopped.", ShellBase + request.Signal);
            return;
        }

        if (process.GuestPid == 0)
        {
            throw new TtrpcException(StatusCode.FailedPrecondition, $"The process \"{request.ExecId}\" was not started.");
        }

        if (request.Signal == 0)
        {
            // Whether it lives: that it does was seen above.
            return;
        }

        if (pod.MachinePaused && request.Signal == Signals.SIGKILL)
        {
            await pod.Machine.ResumeAsync(cancellation).ConfigureAwait(false);
            pod.MachinePaused = container.Paused = false;
        }

        try
        {
            await pod.Agent.SignalAsync(
                new SignalRequest { ContainerId = request.Id, ExecId = request.ExecId, Signal = request.Signal, All = request.All }, cancellation).ConfigureAwait(false);
        }
        catch (TtrpcException e) when (e.Code == StatusCode.NotFound)
        {
            throw Finished();
        }
    }

    public async Task ResizeAsync(ResizePtyRequest request, CancellationToken cancellation)
    {
        PodProcess process = pod.Get(request.Id).Process(request.ExecId);
        if (process.GuestPid == 0 && process.Spec is { } spec)
        {
            process.Spec = spec with { ConsoleSize = new ConsoleSize { Width = request.Width, Height = request.Height } };
            return;
        }

        if (process.Phase == ProcessPhase.Stopped)
        {
            throw Finished();
        }

        await pod.Agent.ResizeTtyAsync(
            new ResizeTtyRequest { ContainerId = request.Id, ExecId = request.ExecId, Columns = request.Width, Rows = request.Height }, cancellation).ConfigureAwait(false);
    }

    private async Task StartFirstAsync(PodContainer container)
    {
        PodProcess init = container.Init;
        if (container.Kind != BundleKind.Sandbox)
        {
            await StartInGuestAsync(container).ConfigureAwait(false);
        }
        else
        {
            // It runs as long as the machine does.
            _ = pod.Machine;
        }

        init.HasStarted();
        init.Streams?.BeginInput();
        pod.Events.Publish("/tasks/start", new TaskStart { ContainerId = container.Id, Pid = init.HostPid });
        await container.Hooks.RunStartedAsync((int)init.HostPid).ConfigureAwait(false);
    }

    // A first process that does not start has ended. Who asked knows it by the answer: Docker asks for the state at once, and keeps a
    // container for good whose process has not ended.
    private async Task StartInGuestAsync(PodContainer container)
    {
        // Docker, since 28, makes the network between create and start, and any changes it later.
        await pod.FollowNetworkAsync(container).ConfigureAwait(false);
        if (NameRelay.ResolverOf(container.Spec.Mounts) is { } resolver)
        {
            await pod.Machine.ServeNamesAsync(resolver, CancellationToken.None).ConfigureAwait(false);
        }

        try
        {
            await pod.Agent.StartContainerAsync(new StartContainerRequest { ContainerId = container.Id }).ConfigureAwait(false);
        }
        catch (TtrpcException)
        {
            container.Init.TellStart();
            await Task.WhenAny(container.Init.Exited, Task.Delay(s_endPatience)).ConfigureAwait(false);
            throw;
        }
    }

    private async Task StartAddedAsync(PodContainer container, PodProcess process)
    {
        if (container.Init.Phase != ProcessPhase.Running || container.Paused)
        {
            throw new TtrpcException(StatusCode.FailedPrecondition, $"The container \"{container.Id}\" is not running: no process can be added.");
        }

        List<string> notes = [];
        AgentClient agent = pod.Agent;
        ProcessStdio streams = await ProcessStdio.OpenAsync(process.Stdio, pod.Loop, pod.Log.Error).ConfigureAwait(false);
        process.Streams = streams;
        try
        {
            ExecProcessResponse started = await agent.ExecProcessAsync(new Hearth.Agent.Protocol.ExecProcessRequest
            {
                ContainerId = container.Id,
                ExecId = process.ExecId,
                Process = ByteString.CopyFrom(JsonSerializer.SerializeToUtf8Bytes(GuestSpec.ProcessOf(process.Spec!, process.Stdio.Terminal, notes), RuntimeJson.Default.ProcessSpec)),
                Stdio = streams.Wanted,
            }).ConfigureAwait(false);
            process.GuestPid = started.Pid;
        }
        catch
        {
            process.Streams = null;
            await streams.DisposeAsync().ConfigureAwait(false);
            throw;
        }

        process.HasStarted();
        pod.Events.Publish("/tasks/exec-started", new TaskExecStarted { ContainerId = container.Id, ExecId = process.ExecId, Pid = process.HostPid });
        streams.Begin(agent);
        streams.BeginInput();
        _ = ContainerCreation.WatchAsync(pod, container, process, agent);
    }

    private static TtrpcException Finished() => new(StatusCode.NotFound, "process already finished: not found");
}
