using System.Text.Json;
using Google.Protobuf;
using Hearth.Agent.Protocol;
using Hearth.Linux;
using Hearth.Oci.Runtime;
using Hearth.Shim.Bootstrap;
using Hearth.Shim.Machine;
using Hearth.Shim.Protocol;
using Hearth.Shim.Protocol.Bootstrap;
using Hearth.Shim.Protocol.Tasks;
using Hearth.Shim.Specs;
using Hearth.Shim.Streams;
using Hearth.Ttrpc;

namespace Hearth.Shim.Pods;

/// <summary>Makes a container of a bundle: all of it, or nothing is left. Thread: any.</summary>
/// <param name="pod">Which it is in.</param>
/// <param name="request">What the manager asks for.</param>
/// <param name="sandbox">The pod's specification, where it is not the bundle's.</param>
internal sealed class ContainerCreation(Pod pod, CreateTaskRequest request, RuntimeSpec? sandbox = null)
{
    private const int MostSpecBytes = 16 << 20;
    private const uint OutOfMemoryStatus = ProcessExit.Killed;

    private static readonly TimeSpan s_output = TimeSpan.FromSeconds(2);

    /// <param name="shutDown">Ends the shim: called where whoever asks has gone meanwhile, and nothing else is in the pod.</param>
    /// <param name="cancellation">Ends when whoever asks has gone.</param>
    /// <exception cref="TtrpcException">It cannot be made.</exception>
    public async Task<PodContainer> RunAsync(Action shutDown, CancellationToken cancellation)
    {
        try
        {
            return await RunAsync(cancellation).ConfigureAwait(false);
        }
        catch when (cancellation.IsCancellationRequested && pod.IsEmpty)
        {
            // A manager that died meanwhile comes back to what it can neither start nor remove, unless its shim is gone: then it deletes
            // what is left.
            pod.Log.Info($"The shim ends: whoever asked for \"{request.Id}\" has gone, and nothing else is in the pod.");
            shutDown();
            throw;
        }
    }

    private async Task<PodContainer> RunAsync(CancellationToken cancellation)
    {
        if (request.Checkpoint.Length > 0)
        {
            throw new TtrpcException(StatusCode.Unimplemented, "Containers cannot be made of a checkpoint.");
        }

        PodContainer container = Describe();
        container.Hooks.Check();
        GuestSpec? guest = container.Kind == BundleKind.Sandbox ? null : GuestSpec.From(container.Spec, request.Terminal);
        foreach (string note in guest?.Notes ?? [])
        {
            pod.Log.Info($"{container.Id}: {note}");
        }

        pod.Add(container);
        bool booted = false;
        try
        {
            if (guest is not null)
            {
                container.Init.Streams = await ProcessStdio.OpenAsync(container.Init.Stdio, pod.Loop, pod.Log.Error).ConfigureAwait(false);
            }

            if (container.Kind != BundleKind.Member)
            {
                await pod.BootAsync(container.Spec, ConfigPath(), cancellation).ConfigureAwait(false);
                booted = true;
            }

            container.Init.HostPid = pod.MonitorPid;
            await container.Hooks.RunBeforeAsync((int)pod.MonitorPid).ConfigureAwait(false);
            await pod.JoinNetworkAsync(container, cancellation).ConfigureAwait(false);
            if (guest is not null)
            {
                await MakeAsync(container, guest, cancellation).ConfigureAwait(false);
            }
        }
        catch (Exception e)
        {
            await UndoAsync(container, booted).ConfigureAwait(false);
            throw e is HearthException or IOException ? new TtrpcException(StatusCode.Unknown, e.Message, e) : e;
        }

        return container;
    }

    private PodContainer Describe()
    {
        RuntimeSpec spec = sandbox ?? ReadSpec(request.Bundle);
        PodIdentity identity;
        try
        {
            identity = PodIdentity.Of(spec, request.Id, request.Bundle);
        }
        catch (HearthException e)
        {
            throw new TtrpcException(StatusCode.InvalidArgument, e.Message, e);
        }

        if (identity.PodId != pod.Options.PodId)
        {
            throw new TtrpcException(StatusCode.InvalidArgument, $"The container \"{request.Id}\" is of the pod \"{identity.PodId}\"; this is the shim of \"{pod.Options.PodId}\".");
        }

        // Of a pod's containers the pod's manager has seen to it.
        if (identity.Kind != BundleKind.Member || PodIdentity.OfAnnotations(spec, request.Id) is null)
        {
            HostNamespaces.Check(spec, pod.MonitorPid);
        }

        if (identity.Kind == BundleKind.Member && pod.Names is { } names)
        {
            spec = names.MountIn(spec);
        }

        return new PodContainer
        {
            Id = request.Id,
            Bundle = request.Bundle,
            Kind = identity.Kind,
            Spec = spec,
            Hooks = new HostHooks(spec.Hooks, new HookState(spec.OciVersion, request.Id, request.Bundle, spec.Annotations ?? new Dictionary<string, string>()), pod.Log.Error),
            Init = new PodProcess
            {
                ContainerId = request.Id,
                ExecId = "",
                Stdio = new StdioRequest
                {
                    Namespace = pod.Options.Namespace,
                    ContainerId = request.Id,
                    Stdin = request.Stdin,
                    Stdout = request.Stdout,
                    Stderr = request.Stderr,
                    Terminal = request.Terminal,
                    StdinOnce = spec.Annotations?.GetValueOrDefault(SpecAnnotations.StdinOnce) == "true",
                },
            },
        };
    }

    /// <summary>Where a bundle's specification is.</summary>
    public static string SpecPath(string bundle) => Path.Combine(bundle, "config.json");

    /// <summary>Reads a bundle's specification.</summary>
    /// <exception cref="TtrpcException">NotFound, or InvalidArgument: it is none.</exception>
    public static RuntimeSpec ReadSpec(string bundle)
    {
        string path = SpecPath(bundle);
        try
        {
            byte[] json = File.ReadAllBytes(path);
            return json.Length <= MostSpecBytes ? RuntimeSpec.Parse(json) : throw new TtrpcException(StatusCode.InvalidArgument, $"{path} is larger than {MostSpecBytes >> 20} MiB.");
        }
        catch (JsonException e)
        {
            throw new TtrpcException(StatusCode.InvalidArgument, $"{path} is no OCI runtime specification: {e.Message}", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new TtrpcException(StatusCode.NotFound, $"The bundle cannot be read: {e.Message}", e);
        }
    }

    private string ConfigPath()
    {
        if (request.Options is not { } options || !options.TypeUrl.EndsWith(Options.Descriptor.FullName, StringComparison.Ordinal))
        {
            return "";
        }

        try
        {
            return Options.Parser.ParseFrom(options.Value).ConfigPath;
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new TtrpcException(StatusCode.InvalidArgument, $"The options are none: {e.Message}", e);
        }
    }

    private async Task MakeAsync(PodContainer container, GuestSpec guest, CancellationToken cancellation)
    {
        IPodMachine machine = pod.Machine;
        AgentClient agent = pod.Agent;
        RootFilesystem root = await machine.AttachRootAsync(container.Id, container.Bundle, container.Spec, request.Rootfs, cancellation).ConfigureAwait(false);
        IReadOnlyList<MountSpec> mounts = await machine.AttachVolumesAsync(container.Id, container.Spec.Mounts, cancellation).ConfigureAwait(false);
        CreateContainerResponse made = await agent.CreateContainerAsync(
            new CreateContainerRequest
            {
                ContainerId = container.Id,
                Spec = ByteString.CopyFrom((guest.Spec with { Mounts = mounts }).ToJson()),
                Rootfs = root,
                PidNamespace = guest.PidNamespace,
                User = guest.UserLookup,
                Stdio = container.Init.Streams!.Wanted,
                FindProgram = container.Spec.Annotations?.GetValueOrDefault(SpecAnnotations.ProgramAtStart) != "true",
            },
            cancellation).ConfigureAwait(false);
        container.Init.GuestPid = made.Pid;
        container.Init.Streams.Begin(agent);
        _ = WatchAsync(pod, container, container.Init, agent);
    }

    /// <summary>Waits for a process's end in the guest, lets its output come out, and tells.</summary>
    public static async Task WatchAsync(Pod pod, PodContainer container, PodProcess process, AgentClient agent)
    {
        WaitProcessResponse ended;
        try
        {
            ended = await agent.WaitProcessAsync(new WaitProcessRequest { ContainerId = container.Id, ExecId = process.ExecId }).ConfigureAwait(false);
        }
        catch (TtrpcException)
        {
            // The machine's end is told by itself; what was removed has been told.
            return;
        }

        // A child of the process may hold its outputs open, and the manager may not read: neither keeps the end from being told.
        await Task.WhenAny(process.Streams!.OutputEnded, Task.Delay(s_output)).ConfigureAwait(false);
        bool outOfMemory = ended.ExitStatus == OutOfMemoryStatus && process.ExecId.Length == 0 && await HasRunOutAsync(agent, container.Id).ConfigureAwait(false);
        await pod.EndProcessAsync(container, process, new ProcessExit(ended.ExitStatus, ended.ExitedAt.ToDateTimeOffset(), outOfMemory)).ConfigureAwait(false);
    }

    private static async Task<bool> HasRunOutAsync(AgentClient agent, string id)
    {
        try
        {
            Hearth.Agent.Protocol.StatsResponse stats = await agent.StatsAsync(new Hearth.Agent.Protocol.StatsRequest { ContainerId = id }).ConfigureAwait(false);
            return stats.Memory.OomKills > 0;
        }
        catch (TtrpcException)
        {
            return false;
        }
    }

    private async Task UndoAsync(PodContainer container, bool booted)
    {
        // Off the list first, so that its end is nobody's event.
        pod.Remove(container);
        container.Init.TellStart();
        if (booted)
        {
            await pod.EndMachineAsync("The container that the pod was made for could not be made.").ConfigureAwait(false);
        }
        else if (container.Kind == BundleKind.Member && pod.IsReady)
        {
            await ContainerRemoval.RemoveFromGuestAsync(pod, container.Id).ConfigureAwait(false);
        }

        if (container.Init.Streams is not null)
        {
            await container.Init.Streams.DisposeAsync().ConfigureAwait(false);
        }
    }
}
