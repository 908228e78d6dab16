using System.Text;
using System.Text.Json;
using Google.Protobuf;
using Hearth.Agent.Protocol;
using Hearth.Oci.Runtime;
using Hearth.Runtime.Pods;
using Hearth.Runtime.State;
using Hearth.Shim.Protocol;
using Hearth.Shim.Protocol.Tasks;
using Hearth.Ttrpc;

namespace Hearth.Runtime.Handlers;

/// <summary>A pod in a microVM, by one connection to its shim. Thread: any.</summary>
internal sealed class ShimPod : IRunningPod
{
    private const int NotFoundExitCode = 127;
    private const int CannotRunExitCode = 126;
    private static readonly TimeSpan s_endTime = TimeSpan.FromSeconds(60);

    private readonly string _id;
    private readonly PodLaunch _launch;
    private readonly ShimClient _client;
    private readonly ShimProgram _shim;
    private readonly Action<string> _log;
    private Task _listening = Task.CompletedTask;
    private volatile bool _letGo;

    public ShimPod(string id, PodLaunch launch, ShimClient client, ShimProgram shim, Action<string> log)
    {
        _id = id;
        _launch = launch;
        _client = client;
        _shim = shim;
        _log = log;
        State = new Dictionary<string, string> { [MicrovmHandler.AddressKey] = client.Address };
    }

    public IReadOnlyDictionary<string, string> State { get; }

    /// <summary>Begins to tell what happens; what has ended already comes first.</summary>
    public async Task ListenAsync(CancellationToken cancellation)
    {
        TtrpcStream<PodEvent> events = await _client.EventsAsync(cancellation).ConfigureAwait(false);
        _listening = Task.Run(() => ReadEventsAsync(events), CancellationToken.None);
    }

    public async Task<IReadOnlyDictionary<string, string>> CreateContainerAsync(ContainerLaunch launch, CancellationToken cancellation)
    {
        Pods.Container container = launch.Container;
        ContainerConfig config = container.Config;
        await File.WriteAllBytesAsync(Path.Combine(launch.Folder, PodFolders.SpecFile), Complete(launch).ToJson(), cancellation).ConfigureAwait(false);
        // Without a log the output goes nowhere, and can be attached to all the same.
        string output = "cri://" + (container.LogPath.Length > 0 ? container.LogPath : "/dev/null");
        await _client.CreateAsync(
            new CreateTaskRequest
            {
                Id = container.Id,
                Bundle = launch.Folder,
                Rootfs = { new Mount { Type = "erofs", Source = launch.Image.RootFilesystem, Options = { "ro" } } },
                Terminal = config.Tty,
                Stdin = config.Stdin ? "stream://" : "",
                Stdout = output,
                Stderr = config.Tty ? "" : output,
            },
            cancellation).ConfigureAwait(false);
        return new Dictionary<string, string>();
    }

    public Task StartContainerAsync(string id, CancellationToken cancellation) => _client.StartAsync(id, "", cancellation);

    public async Task KillAsync(string id, int signal, bool all, CancellationToken cancellation)
    {
        try
        {
            await _client.KillAsync(id, (uint)signal, all, "", cancellation).ConfigureAwait(false);
        }
        catch (TtrpcException e) when (IsGone(e))
        {
            // Its end has come, or is about to be told of.
        }
    }

    public async Task RemoveContainerAsync(string id, CancellationToken cancellation)
    {
        try
        {
            await _client.DeleteAsync(id, "", cancellation).ConfigureAwait(false);
        }
        catch (TtrpcException e) when (e.Code == StatusCode.FailedPrecondition)
        {
            // It runs still, or was never started.
            await KillAsync(id, Specs.Signals.Kill, all: true, cancellation).ConfigureAwait(false);
            await WaitAsync(id, cancellation).ConfigureAwait(false);
            await DeleteIfThereAsync(id, cancellation).ConfigureAwait(false);
        }
        catch (TtrpcException e) when (IsGone(e))
        {
            // As it should be.
        }
    }

    public Task UpdateContainerAsync(string id, ResourcesSpec resources, CancellationToken cancellation) =>
        _client.UpdateAsync(id, JsonSerializer.SerializeToUtf8Bytes(resources, RuntimeJson.Default.ResourcesSpec), cancellation);

    public Task UpdatePodAsync(ResourcesSpec resources, CancellationToken cancellation) =>
        _client.UpdatePodResourcesAsync(JsonSerializer.SerializeToUtf8Bytes(resources, RuntimeJson.Default.ResourcesSpec), cancellation);

    public Task ReopenLogAsync(string id, CancellationToken cancellation) => _client.ReopenLogAsync(id, cancellation);

    public async Task<ExecResult> RunAsync(string id, ProcessSpec process, TimeSpan? timeout, CancellationToken cancellation)
    {
        var request = new RunProcessRequest
        {
            ContainerId = id,
            Process = UnsafeByteOperations.UnsafeWrap(JsonSerializer.SerializeToUtf8Bytes(process, RuntimeJson.Default.ProcessSpec)),
            TimeoutMs = timeout is { } limit ? (uint)Math.Clamp(limit.TotalMilliseconds, 1, uint.MaxValue) : 0,
        };
        var stdout = new BoundedOutput(ExecResult.MaxBytes);
        var stderr = new BoundedOutput(ExecResult.MaxBytes);
        try
        {
            using TtrpcStream<RunProcessEvent> events = await _client.RunProcessAsync(request, cancellation).ConfigureAwait(false);
            await foreach (RunProcessEvent happened in events.ReadAllAsync(cancellation).ConfigureAwait(false))
            {
                switch (happened.EventCase)
                {
                    case RunProcessEvent.EventOneofCase.Stdout:
                        stdout.Add(happened.Stdout.Span);
                        break;
                    case RunProcessEvent.EventOneofCase.Stderr:
                        stderr.Add(happened.Stderr.Span);
                        break;
                    case RunProcessEvent.EventOneofCase.Exited when happened.Exited.TimedOut:
                        throw new PodException(PodFault.DeadlineExceeded, $"\"{process.Args[0]}\" had not ended after {timeout!.Value.TotalSeconds:0.###} s, and was killed.");
                    case RunProcessEvent.EventOneofCase.Exited:
                        return new ExecResult(stdout.ToArray(), stderr.ToArray(), (int)happened.Exited.ExitStatus);
                }
            }
        }
        catch (TtrpcException e) when (e.Code is StatusCode.NotFound or StatusCode.PermissionDenied)
        {
            return new ExecResult([], Encoding.UTF8.GetBytes(e.Message + "\n"), e.Code == StatusCode.NotFound ? NotFoundExitCode : CannotRunExitCode);
        }

        throw new PodException(PodFault.Unavailable, $"The pod ended while \"{process.Args[0]}\" ran in it.");
    }

    public Task<IProcessSession> ExecAsync(string id, ProcessSpec process, ExecOptions options, CancellationToken cancellation) =>
        ShimSession.ExecAsync(_client, id, process, options, _log, cancellation);

    public Task<IProcessSession> AttachAsync(Pods.Container container, AttachOptions options, CancellationToken cancellation) =>
        ShimSession.AttachAsync(_client, container, options, _log, cancellation);

    public Task<Stream> OpenPortAsync(ushort port, CancellationToken cancellation) => _client.OpenPortAsync(port, cancellation);

    public async Task<PodSample> StatsAsync(CancellationToken cancellation)
    {
        PodStats stats = await _client.PodStatsAsync(cancellation).ConfigureAwait(false);
        return new PodSample
        {
            TakenAt = stats.TakenAt?.ToDateTimeOffset() ?? DateTimeOffset.UtcNow,
            Containers = [.. stats.Containers.Where(one => one.ContainerId != _id && one.Stats is not null).Select(Sample)],
            Interfaces = [.. stats.Interfaces.Select(static one => new InterfaceUse(one.Name, one.ReceivedBytes, one.ReceivedErrors, one.SentBytes, one.SentErrors)
            {
                ReceivedPackets = one.ReceivedPackets,
                ReceivedDropped = one.ReceivedDropped,
                SentPackets = one.SentPackets,
                SentDropped = one.SentDropped,
            })],
            HostMemoryBytes = stats.HostMemoryBytes,
            HostCpuNanoseconds = stats.HostCpuMicroseconds * 1000,
        };
    }

    public async Task<IReadOnlyDictionary<string, string>> DescribeAsync(CancellationToken cancellation)
    {
        PodStatus status = await _client.StatusAsync(cancellation).ConfigureAwait(false);
        return new Dictionary<string, string> { ["machine"] = JsonFormatter.Default.Format(status) };
    }

    public async Task StopAsync(CancellationToken cancellation)
    {
        _letGo = true;
        bool ended = false;
        try
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            limit.CancelAfter(s_endTime);
            await _client.KillAsync(_id, Specs.Signals.Kill, all: true, "", limit.Token).ConfigureAwait(false);
            await _client.WaitAsync(_id, "", limit.Token).ConfigureAwait(false);
            // With it the machine has given everything back.
            await _client.DeleteAsync(_id, "", limit.Token).ConfigureAwait(false);
            ended = true;
            await _client.ShutdownAsync(_id, now: true, limit.Token).ConfigureAwait(false);
            await _client.Closed.WaitAsync(limit.Token).ConfigureAwait(false);
        }
        catch (TtrpcException e) when (ended && e.Code is StatusCode.Unavailable)
        {
            // The shim's end is what was asked for.
        }
        catch (Exception e) when (e is TtrpcException || (e is OperationCanceledException && !cancellation.IsCancellationRequested))
        {
            _log($"The shim of pod {_id} does not stop as asked, and is deleted: {e.Message}");
            await _shim.DeleteAsync(_id, _launch.Folder, cancellation).ConfigureAwait(false);
        }
    }

    public async ValueTask DisposeAsync()
    {
        _letGo = true;
        await _client.DisposeAsync().ConfigureAwait(false);
        await _listening.ConfigureAwait(false);
    }

    private static bool IsGone(TtrpcException e) => e.Code is StatusCode.NotFound or StatusCode.Unavailable;

    private RuntimeSpec Complete(ContainerLaunch launch)
    {
        ContainerConfig config = launch.Container.Config;
        Dictionary<string, string> annotations = SandboxSpec.Names(_launch.Pod, "container");
        annotations["io.kubernetes.cri.container-name"] = config.Name;
        annotations["io.kubernetes.cri.image-name"] = config.Image;
        // A container of CRI is there before its program is looked for, and then says why it did not start.
        annotations[SpecAnnotations.ProgramAtStart] = "true";
        if (config.StdinOnce)
        {
            annotations[SpecAnnotations.StdinOnce] = "true";
        }

        NamespaceOptions options = config.Security.Namespaces;
        var namespaces = new List<NamespaceSpec> { new() { Type = "mount" }, new() { Type = "cgroup" } };
        if (options.Pid == NamespaceMode.Container)
        {
            namespaces.Add(new NamespaceSpec { Type = "pid" });
        }
        else if (options.Pid == NamespaceMode.Target)
        {
            annotations[SpecAnnotations.PidTarget] = options.TargetId;
        }

        return launch.Spec with { Annotations = annotations, Linux = launch.Spec.Linux! with { Namespaces = namespaces } };
    }

    private static ContainerSample Sample(Shim.Protocol.ContainerStats one) => new()
    {
        Id = one.ContainerId,
        CpuNanoseconds = (one.Stats.Cpu?.UsageMicroseconds ?? 0) * 1000,
        Memory = new MemoryUse
        {
            Usage = one.Stats.Memory?.Usage ?? 0,
            WorkingSet = one.Stats.Memory?.WorkingSet ?? 0,
            Rss = one.Stats.Memory?.Anonymous ?? 0,
            Limit = one.Stats.Memory?.Limit ?? 0,
            PageFaults = one.Stats.Memory?.PageFaults ?? 0,
            MajorPageFaults = one.Stats.Memory?.MajorPageFaults ?? 0,
        },
        Pids = one.Stats.Pids?.Current ?? 0,
        WritableBytes = one.Stats.WritableLayer?.UsedBytes ?? 0,
        WritableInodes = one.Stats.WritableLayer?.UsedInodes ?? 0,
        Counters = new Dictionary<string, ulong>(one.Stats.Counters),
    };

    private async Task WaitAsync(string id, CancellationToken cancellation)
    {
        try
        {
            await _client.WaitAsync(id, "", cancellation).ConfigureAwait(false);
        }
        catch (TtrpcException e) when (IsGone(e))
        {
            // Ended, and more than that.
        }
    }

    private async Task DeleteIfThereAsync(string id, CancellationToken cancellation)
    {
        try
        {
            await _client.DeleteAsync(id, "", cancellation).ConfigureAwait(false);
        }
        catch (TtrpcException e) when (IsGone(e))
        {
            // As it should be.
        }
    }

    private async Task ReadEventsAsync(TtrpcStream<PodEvent> events)
    {
        string? reason = null;
        try
        {
            using (events)
            {
                await foreach (PodEvent happened in events.ReadAllAsync().ConfigureAwait(false))
                {
                    reason ??= Tell(happened);
                }
            }
        }
        catch (TtrpcException)
        {
            // The connection's end.
        }

        if (!_letGo)
        {
            _launch.OnEvent(new HandlerEvent.PodStopped(reason ?? "Its shim has ended."));
        }
    }

    /// <returns>The reason, if this is the machine's end.</returns>
    private string? Tell(PodEvent happened)
    {
        switch (happened.EventCase)
        {
            case PodEvent.EventOneofCase.ContainerStopped when happened.ContainerStopped.ContainerId != _id:
                ContainerState stopped = happened.ContainerStopped;
                _launch.OnEvent(new HandlerEvent.ContainerStopped(
                    stopped.ContainerId, (int)stopped.ExitStatus, stopped.ExitedAt?.ToDateTimeOffset() ?? DateTimeOffset.UtcNow, stopped.OutOfMemory));
                return null;
            case PodEvent.EventOneofCase.OutOfMemory:
                _launch.OnEvent(new HandlerEvent.MemoryKill(happened.OutOfMemory));
                return null;
            case PodEvent.EventOneofCase.MachineStopped:
                if (!_letGo)
                {
                    _launch.OnEvent(new HandlerEvent.PodStopped(happened.MachineStopped));
                }

                return happened.MachineStopped;
            default:
                return null;
        }
    }
}
