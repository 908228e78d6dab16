using System.Text.Json;
using Google.Protobuf.WellKnownTypes;
using Hearth.Agent.Protocol;
using Hearth.Linux;
using Hearth.Oci.Runtime;
using Hearth.Programs.Agent.Containers;
using Hearth.Programs.Agent.Guest;
using Hearth.Programs.Agent.Processes;
using Hearth.Ttrpc;

namespace Hearth.Programs.Agent.Service;

/// <summary>The agent service: translates, calls, translates back. Thread: any.</summary>
internal sealed class AgentService(AgentOptions options, AgentPaths paths, ContainerStore containers, EventHub events, TaskCompletionSource end)
{
    private static readonly Empty s_empty = new();

    public static TtrpcService Create(AgentService agent) => new TtrpcService(AgentClient.ServiceName)
        .Unary("Check", Empty.Parser, Sync<Empty, CheckResponse>(agent.Check))
        .Unary("SetUpSandbox", SetUpSandboxRequest.Parser, Sync<SetUpSandboxRequest>(agent.SetUpSandbox))
        .Unary("ConfigureNetwork", Network.Parser, Sync<Network>(GuestNetwork.Apply))
        .Unary("SetTime", SetTimeRequest.Parser, Sync<SetTimeRequest>(SetTime))
        .Unary("ReseedRandom", ReseedRandomRequest.Parser, Sync<ReseedRandomRequest>(static request => Reseed(request.Seed.Span)))
        .Unary("WriteFiles", WriteFilesRequest.Parser, Sync<WriteFilesRequest>(agent.WriteFiles))
        .Unary("Mount", MountRequest.Parser, Sync<MountRequest>(agent.Mount))
        .Unary("Unmount", UnmountRequest.Parser, Sync<UnmountRequest>(request => Mounts.Detach(agent.OwnPath(request.Target))))
        .Unary("CreateContainer", CreateContainerRequest.Parser, Slow<CreateContainerRequest, CreateContainerResponse>(agent.CreateContainer))
        .Unary("StartContainer", StartContainerRequest.Parser, Sync<StartContainerRequest>(request => agent.Get(request.ContainerId).Start()))
        .Unary("RemoveContainer", RemoveContainerRequest.Parser, Sync<RemoveContainerRequest>(request => agent.Containers.Remove(request.ContainerId)))
        .Unary("UpdateResources", UpdateResourcesRequest.Parser, Sync<UpdateResourcesRequest>(agent.UpdateResources))
        .Unary("Stats", StatsRequest.Parser, Sync<StatsRequest, StatsResponse>(request => agent.Get(request.ContainerId).Stats()))
        .Unary("AllStats", Empty.Parser, Sync<Empty, AllStatsResponse>(agent.AllStats))
        .Unary("SetFrozen", SetFrozenRequest.Parser, Sync<SetFrozenRequest>(request => agent.Get(request.ContainerId).SetFrozen(request.Frozen)))
        .Unary("Pids", PidsRequest.Parser, Sync<PidsRequest, PidsResponse>(agent.Pids))
        .Unary("ExecProcess", ExecProcessRequest.Parser, Slow<ExecProcessRequest, ExecProcessResponse>(agent.ExecProcess))
        .ServerStream<RunProcessRequest, RunProcessEvent>("RunProcess", RunProcessRequest.Parser, agent.RunProcessAsync)
        .Unary("RemoveProcess", RemoveProcessRequest.Parser, Sync<RemoveProcessRequest>(request => agent.Get(request.ContainerId).RemoveProcess(request.ExecId)))
        .Unary("Signal", SignalRequest.Parser, Sync<SignalRequest>(agent.Signal))
        .Unary<WaitProcessRequest, WaitProcessResponse>("WaitProcess", WaitProcessRequest.Parser, agent.WaitProcessAsync)
        .Unary("ResizeTty", ResizeTtyRequest.Parser, Sync<ResizeTtyRequest>(agent.ResizeTty))
        .Unary("CloseStdin", CloseStdinRequest.Parser, Sync<CloseStdinRequest>(agent.CloseStdin))
        .ServerStream<Empty, Event>("Events", Empty.Parser, (_, writer, call) => agent.Events.ForwardAsync(writer, call.Cancellation))
        .Unary("Shutdown", Empty.Parser, Sync<Empty>(agent.Shutdown));

    private ContainerStore Containers => containers;

    private EventHub Events => events;

    private Container Get(string id) => containers.Get(id);

    private CheckResponse Check(Empty _)
    {
        var response = new CheckResponse
        {
            Version = typeof(AgentService).Assembly.GetName().Version?.ToString(3) ?? "",
            KernelRelease = File.ReadAllText("/proc/sys/kernel/osrelease").Trim(),
        };
        response.CgroupControllers.AddRange(containers.Host.Parent.Controllers);
        return response;
    }

    private void SetUpSandbox(SetUpSandboxRequest request)
    {
        if (request.Hostname.Length > 0)
        {
            ProcessImage.SetHostName(request.Hostname);
        }

        if (request.Time is { } time)
        {
            SetTime(time);
        }

        if (!request.RandomSeed.IsEmpty)
        {
            Reseed(request.RandomSeed.Span);
        }

        foreach ((string name, string value) in request.Sysctls)
        {
            string path = Path.GetFullPath(Path.Combine("/proc/sys", name.Contains('/') ? name : name.Replace('.', '/')));
            if (!path.StartsWith("/proc/sys/", StringComparison.Ordinal) || !File.Exists(path))
            {
                throw new TtrpcException(StatusCode.InvalidArgument, $"The guest kernel has no sysctl \"{name}\".");
            }

            File.WriteAllText(path, value);
        }

        WriteFiles(new WriteFilesRequest { Files = { request.Files } });
        if (request.Network is { } network)
        {
            GuestNetwork.Apply(network);
        }
    }

    private static void SetTime(SetTimeRequest request)
    {
        if (request.UnixNanoseconds > 0)
        {
            Machine.SetClock(request.UnixNanoseconds);
        }
    }

    private static void Reseed(ReadOnlySpan<byte> seed)
    {
        if (seed.Length is < 32 or > 4096)
        {
            throw new TtrpcException(StatusCode.InvalidArgument, "A seed has 32 to 4096 bytes.");
        }

        Machine.ReseedRandom(seed);
    }

    // In place: containers have mounted the file, not its name. They write to none that has others below it.
    private void WriteFiles(WriteFilesRequest request)
    {
        foreach (string path in request.Removed.Select(FilePath))
        {
            if (Directory.Exists(path))
            {
                Directory.Delete(path, recursive: true);
            }
            else if (File.Exists(path))
            {
                File.Delete(path);
            }
        }

        foreach (GuestFile file in request.Files)
        {
            string path = FilePath(file.Name);
            Directory.CreateDirectory(file.Directory ? path : Path.GetDirectoryName(path)!);
            if (!file.Directory)
            {
                File.WriteAllBytes(path, file.Content.ToByteArray());
            }

            uint mode = file.Mode != 0 ? file.Mode : file.Directory ? 0x1edu : 0x1a4u;
            File.SetUnixFileMode(path, (UnixFileMode)(mode & 0xfff));
        }
    }

    private string FilePath(string name)
    {
        string path = $"{paths.Files}/{name}";
        return name.Length > 0 && !name.Contains('\0') && !name.EndsWith('/') && Path.GetFullPath(path) == path
            ? path
            : throw new TtrpcException(StatusCode.InvalidArgument, $"\"{name}\" is no file name.");
    }

    private void Mount(MountRequest request)
    {
        if (request.Filesystem is null)
        {
            throw new TtrpcException(StatusCode.InvalidArgument, "A mount needs a file system.");
        }

        string target = OwnPath(request.Target);
        if (request.Filesystem.Type == "bind" && File.Exists(request.Filesystem.Source))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.WriteAllBytes(target, []);
        }
        else
        {
            Directory.CreateDirectory(target);
        }

        RootFilesystemMount.MountFilesystem(request.Filesystem, target, 0);
    }

    private string OwnPath(string path)
    {
        string full = Path.GetFullPath(path);
        return full.StartsWith(paths.Run + "/", StringComparison.Ordinal) && !full.StartsWith(paths.Containers, StringComparison.Ordinal)
            ? full
            : throw new TtrpcException(StatusCode.InvalidArgument, $"\"{path}\" is not under {paths.Run}/, or is a container's own.");
    }

    private CreateContainerResponse CreateContainer(CreateContainerRequest request)
    {
        if (request.Rootfs?.ScratchDirectory is { Length: > 0 } scratch)
        {
            request.Rootfs.ScratchDirectory = OwnPath(scratch);
        }

        return new CreateContainerResponse { Pid = (uint)containers.Create(request).Init.Pid };
    }

    private void UpdateResources(UpdateResourcesRequest request)
    {
        try
        {
            ResourcesSpec resources = JsonSerializer.Deserialize(request.Resources.Span, RuntimeJson.Default.ResourcesSpec) ?? new ResourcesSpec();
            Get(request.ContainerId).Update(resources);
        }
        catch (JsonException e)
        {
            throw new TtrpcException(StatusCode.InvalidArgument, $"These are no OCI resources: {e.Message}", e);
        }
    }

    private AllStatsResponse AllStats(Empty _)
    {
        var response = new AllStatsResponse();
        foreach (Container container in containers.All)
        {
            try
            {
                response.Containers.Add(new ContainerStatsEntry { ContainerId = container.Id, Stats = container.Stats() });
            }
            catch (IOException)
            {
                // It is being removed.
            }
        }

        response.Interfaces.AddRange(GuestNetwork.Counters());
        return response;
    }

    private PidsResponse Pids(PidsRequest request)
    {
        var response = new PidsResponse();
        response.Pids.AddRange(Get(request.ContainerId).Pids().Select(static pid => (uint)pid));
        return response;
    }

    private ExecProcessResponse ExecProcess(ExecProcessRequest request)
    {
        ContainerProcess process = Get(request.ContainerId)
            .ExecNamed(request.ExecId, ContainerStore.ParseProcess(request.Process.Span), request.User, request.Stdio);
        return new ExecProcessResponse { Pid = (uint)process.Child.Pid };
    }

    private async Task RunProcessAsync(RunProcessRequest request, ResponseWriter<RunProcessEvent> writer, CallContext call)
    {
        ProcessSpec spec = ContainerStore.ParseProcess(request.Process.Span) with { Terminal = false };
        ContainerProcess process = await OnThread(
            () => Get(request.ContainerId).Exec("", spec, request.User, new StandardStreams { Stdout = true, Stderr = true })).ConfigureAwait(false);
        try
        {
            TimeSpan? timeout = request.TimeoutMs == 0 ? null : TimeSpan.FromMilliseconds(request.TimeoutMs);
            RunProcessExit exit = await process.ForwardAsync(containers.Host.Loop, writer.WriteAsync, timeout, call.Cancellation).ConfigureAwait(false);
            await writer.WriteAsync(new RunProcessEvent { Exited = exit }).ConfigureAwait(false);
        }
        finally
        {
            process.Streams.Close();
        }
    }

    private void Signal(SignalRequest request)
    {
        if (request.Signal is < 1 or > 64)
        {
            throw new TtrpcException(StatusCode.InvalidArgument, $"There is no signal {request.Signal}.");
        }

        Container container = Get(request.ContainerId);
        if (request.All)
        {
            container.SignalAll((int)request.Signal);
            return;
        }

        if (!ChildProcess.Signal(container.Process(request.ExecId).Child.Pidfd, (int)request.Signal))
        {
            throw new TtrpcException(StatusCode.NotFound, "The process has ended.");
        }
    }

    private async Task<WaitProcessResponse> WaitProcessAsync(WaitProcessRequest request, CallContext call)
    {
        ChildExit exit = await Get(request.ContainerId).Process(request.ExecId).Child.Exit.WaitAsync(call.Cancellation).ConfigureAwait(false);
        return new WaitProcessResponse { ExitStatus = (uint)exit.Status, ExitedAt = Timestamp.FromDateTimeOffset(exit.At) };
    }

    private void ResizeTty(ResizeTtyRequest request)
    {
        ContainerProcess process = Get(request.ContainerId).Process(request.ExecId);
        if (!process.Streams.HasTerminal)
        {
            throw new TtrpcException(StatusCode.FailedPrecondition, "The process has no terminal.");
        }

        process.Streams.Resize((ushort)Math.Min(request.Columns, ushort.MaxValue), (ushort)Math.Min(request.Rows, ushort.MaxValue));
    }

    private void CloseStdin(CloseStdinRequest request) => Get(request.ContainerId).Process(request.ExecId).Streams.Input?.End();

    private void Shutdown(Empty _)
    {
        if (options.IsGuest)
        {
            AgentLog.Error("Shutting down.");
        }

        end.TrySetResult();
    }

    private static Func<TRequest, CallContext, Task<TResponse>> Sync<TRequest, TResponse>(Func<TRequest, TResponse> handler) =>
        (request, _) => Task.FromResult(handler(request));

    // What waits for another process has a thread of its own: many at once would leave the pool none for the streams.
    private static Func<TRequest, CallContext, Task<TResponse>> Slow<TRequest, TResponse>(Func<TRequest, TResponse> handler) =>
        (request, _) => OnThread(() => handler(request));

    private static Task<T> OnThread<T>(Func<T> work) => Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    private static Func<TRequest, CallContext, Task<Empty>> Sync<TRequest>(Action<TRequest> handler) => (request, _) =>
    {
        handler(request);
        return Task.FromResult(s_empty);
    };
}
