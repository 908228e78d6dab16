using System.Text.Json;
using Google.Protobuf.WellKnownTypes;
using Hearth.Linux;
using Hearth.Shim.Pods;
using Hearth.Shim.Protocol;
using Hearth.Shim.Protocol.Tasks;
using Hearth.Ttrpc;

namespace Hearth.Shim.Service;

/// <summary>
/// containerd's task service, under both its names: looks at the request, has it done, answers in containerd's words (its
/// clients know an error by its code, and some by "not found" or "already finished"). Thread: any.
/// </summary>
internal sealed class TaskService(Pod pod, Action shutDown)
{
    private static readonly Empty s_empty = new();

    private readonly ProcessControl _processes = new(pod);
    private readonly ResourceControl _resources = new(pod);

    public static IEnumerable<TtrpcService> Create(TaskService tasks) =>
        ((string[])[TaskServices.TaskV2, TaskServices.TaskV3]).Select(name => new TtrpcService(name)
            .Unary<StateRequest, StateResponse>("State", StateRequest.Parser, (request, _) => Task.FromResult(tasks.State(request)))
            .Unary<CreateTaskRequest, CreateTaskResponse>("Create", CreateTaskRequest.Parser, tasks.CreateAsync)
            .Unary<StartRequest, StartResponse>("Start", StartRequest.Parser, tasks._processes.StartAsync)
            .Unary<DeleteRequest, DeleteResponse>("Delete", DeleteRequest.Parser, (request, _) => tasks.DeleteAsync(request))
            .Unary<PidsRequest, PidsResponse>("Pids", PidsRequest.Parser, (request, _) => Task.FromResult(tasks.Pids(request)))
            .Unary<PauseRequest, Empty>("Pause", PauseRequest.Parser, Done<PauseRequest>((request, call) => tasks._resources.SetPausedAsync(request.Id, true, call.Cancellation)))
            .Unary<ResumeRequest, Empty>("Resume", ResumeRequest.Parser, Done<ResumeRequest>((request, call) => tasks._resources.SetPausedAsync(request.Id, false, call.Cancellation)))
            .Unary<CheckpointTaskRequest, Empty>("Checkpoint", CheckpointTaskRequest.Parser, (request, _) => tasks.Checkpoint(request))
            .Unary<KillRequest, Empty>("Kill", KillRequest.Parser, Done<KillRequest>((request, call) => tasks._processes.KillAsync(request, call.Cancellation)))
            .Unary<ExecProcessRequest, Empty>("Exec", ExecProcessRequest.Parser, Done<ExecProcessRequest>((request, _) => tasks._processes.AddAsync(request)))
            .Unary<ResizePtyRequest, Empty>("ResizePty", ResizePtyRequest.Parser, Done<ResizePtyRequest>((request, call) => tasks._processes.ResizeAsync(request, call.Cancellation)))
            .Unary<CloseIORequest, Empty>("CloseIO", CloseIORequest.Parser, Done<CloseIORequest>((request, _) => tasks.CloseIO(request)))
            .Unary<UpdateTaskRequest, Empty>("Update", UpdateTaskRequest.Parser, Done<UpdateTaskRequest>((request, call) => tasks.UpdateAsync(request, call.Cancellation)))
            .Unary<WaitRequest, WaitResponse>("Wait", WaitRequest.Parser, tasks.WaitAsync)
            .Unary<StatsRequest, StatsResponse>("Stats", StatsRequest.Parser, (request, call) => tasks._resources.StatsAsync(request.Id, call.Cancellation))
            .Unary<ConnectRequest, ConnectResponse>("Connect", ConnectRequest.Parser, (request, _) => Task.FromResult(tasks.Connect(request)))
            .Unary<ShutdownRequest, Empty>("Shutdown", ShutdownRequest.Parser, (request, call) => tasks.Shutdown(request, call)));

    private StateResponse State(StateRequest request)
    {
        PodContainer container = pod.Get(request.Id);
        PodProcess process = container.Process(request.ExecId);
        var response = new StateResponse
        {
            Id = request.ExecId.Length == 0 ? request.Id : request.ExecId,
            Bundle = container.Bundle,
            Pid = process.HostPid,
            Status = container.Paused && process.Status == Status.Running ? Status.Paused : process.Status,
            Stdin = process.Stdio.Stdin,
            Stdout = process.Stdio.Stdout,
            Stderr = process.Stdio.Stderr,
            Terminal = process.Stdio.Terminal,
            ExecId = request.ExecId,
        };
        if (process.Exit is { } exit)
        {
            response.ExitStatus = exit.Status;
            response.ExitedAt = exit.AtTimestamp;
        }

        return response;
    }

    private async Task<CreateTaskResponse> CreateAsync(CreateTaskRequest request, CallContext call)
    {
        PodContainer container = await new ContainerCreation(pod, request).RunAsync(shutDown, call.Cancellation).ConfigureAwait(false);
        var created = new TaskCreate
        {
            ContainerId = request.Id,
            Bundle = request.Bundle,
            Io = new TaskIO { Stdin = request.Stdin, Stdout = request.Stdout, Stderr = request.Stderr, Terminal = request.Terminal },
            Pid = container.Init.HostPid,
        };
        created.Rootfs.AddRange(request.Rootfs);
        pod.Events.Publish("/tasks/create", created);
        return new CreateTaskResponse { Pid = container.Init.HostPid };
    }

    private async Task<DeleteResponse> DeleteAsync(DeleteRequest request)
    {
        PodContainer container = pod.Get(request.Id);
        PodProcess process = container.Process(request.ExecId);
        await process.Changing.WaitAsync().ConfigureAwait(false);
        try
        {
            ProcessExit exit = request.ExecId.Length == 0
                ? await ContainerRemoval.RemoveAsync(pod, container).ConfigureAwait(false)
                : await ContainerRemoval.RemoveExecAsync(pod, container, process).ConfigureAwait(false);
            return new DeleteResponse { Pid = process.HostPid, ExitStatus = exit.Status, ExitedAt = exit.AtTimestamp };
        }
        finally
        {
            process.Changing.Release();
        }
    }

    // The monitor stands for everything in it: guests' numbers would be other processes' here.
    private PidsResponse Pids(PidsRequest request)
    {
        PodContainer container = pod.Get(request.Id);
        var response = new PidsResponse();
        if (container.Init.Phase != ProcessPhase.Stopped && pod.MonitorPid != 0)
        {
            response.Processes.Add(new ProcessInfo { Pid = pod.MonitorPid });
        }

        return response;
    }

    private Task<Empty> Checkpoint(CheckpointTaskRequest request)
    {
        _ = pod.Get(request.Id);
        throw new TtrpcException(StatusCode.Unimplemented, "Containers cannot be checkpointed by themselves: the machine they are in can be, by the Firecracker API's snapshots.");
    }

    private Task CloseIO(CloseIORequest request)
    {
        PodProcess process = pod.Get(request.Id).Process(request.ExecId);
        if (request.Stdin)
        {
            process.Streams?.CloseStdin();
        }

        return Task.CompletedTask;
    }

    private Task UpdateAsync(UpdateTaskRequest request, CancellationToken cancellation)
    {
        PodContainer container = pod.Get(request.Id);
        if (request.Resources is not { } resources || !resources.TypeUrl.EndsWith("LinuxResources", StringComparison.Ordinal))
        {
            throw new TtrpcException(StatusCode.InvalidArgument, $"Resources are {TaskServices.ResourcesType} as JSON; these are \"{request.Resources?.TypeUrl}\".");
        }

        return _resources.UpdateAsync(container, resources.Value.Span.ToArray(), cancellation);
    }

    private async Task<WaitResponse> WaitAsync(WaitRequest request, CallContext call)
    {
        ProcessExit exit = await pod.Get(request.Id).Process(request.ExecId).Exited.WaitAsync(call.Cancellation).ConfigureAwait(false);
        return new WaitResponse { ExitStatus = exit.Status, ExitedAt = exit.AtTimestamp };
    }

    private ConnectResponse Connect(ConnectRequest request) => new()
    {
        ShimPid = (uint)Environment.ProcessId,
        TaskPid = pod.Find(request.Id)?.Init.HostPid ?? 0,
        Version = typeof(TaskService).Assembly.GetName().Version?.ToString(3) ?? "",
    };

    // Asked by each container's manager when that is gone; only the last one ends the shim. Who wants it now means the pod of that id,
    // and not what has joined its machine.
    private Task<Empty> Shutdown(ShutdownRequest request, CallContext call)
    {
        if (pod.IsEmpty || (request.Now && !pod.GoesOnWithout(request.Id)))
        {
            call.Answered = shutDown;
        }

        return Task.FromResult(s_empty);
    }

    // What goes wrong on the host is the answer; the rest is the server's own concern.
    private static Func<TRequest, CallContext, Task<Empty>> Done<TRequest>(Func<TRequest, CallContext, Task> handler) => async (request, call) =>
    {
        try
        {
            await handler(request, call).ConfigureAwait(false);
            return s_empty;
        }
        catch (Exception e) when (e is HearthException or IOException or JsonException)
        {
            throw new TtrpcException(e is JsonException ? StatusCode.InvalidArgument : StatusCode.Unknown, e.Message, e);
        }
    };
}
