using System.Net.Sockets;
using Hearth.Configuration;
using Hearth.Runtime.Pods;
using Hearth.Runtime.State;
using Hearth.Shim.Protocol;
using Hearth.Shim.Protocol.Tasks;
using Hearth.Ttrpc;

namespace Hearth.Runtime.Handlers;

/// <summary>
/// Pods as microVMs: a hearth-shim for each, which is started in the pod's bundle and then spoken to by the task service
/// (docs/shim-protocol.md). Thread: any.
/// </summary>
internal sealed class MicrovmHandler : IPodHandler
{
    /// <summary>The address of the pod's shim, in the pod's record.</summary>
    public const string AddressKey = "shim";

    private static readonly TimeSpan s_answerTime = TimeSpan.FromSeconds(30);

    private readonly HearthConfig _config;
    private readonly ShimProgram _shim;
    private readonly Action<string> _log;

    public MicrovmHandler(HearthConfig config, string? configPath, Action<string> log)
    {
        _config = config;
        _shim = new ShimProgram(config, configPath);
        _log = log;
    }

    public string Name => "microvm";

    public bool RecursiveReadonlyMounts => true;

    public bool UserNamespaces => false;

    public string Problem()
    {
        MicrovmConfig microvm = _config.Microvm;
        foreach ((string key, string program) in new[] { ("shim", microvm.Shim), ("monitor", microvm.Monitor) }.Concat(microvm.Jail ? [("jailer", microvm.Jailer)] : []))
        {
            if (ProgramPath.Find(program) is null)
            {
                return $"There is no program \"{program}\" (microvm.{key}).";
            }
        }

        foreach ((string key, string file) in new[] { ("kernel", microvm.Kernel), ("initrd", microvm.Initrd) })
        {
            if (!File.Exists(file))
            {
                return $"There is no file \"{file}\" (microvm.{key}).";
            }
        }

        return File.Exists("/dev/kvm") ? "" : "There is no /dev/kvm: this host has no virtualization, or its module (kvm_intel, kvm_amd) is not loaded.";
    }

    public void Check(PodConfig config)
    {
        NamespaceOptions namespaces = config.Security.Namespaces;
        string? host = namespaces switch
        {
            { Network: NamespaceMode.Node } => "network (hostNetwork)",
            { Pid: NamespaceMode.Node } => "processes (hostPID)",
            { Ipc: NamespaceMode.Node } => "IPC (hostIPC)",
            _ => null,
        };
        if (host is not null)
        {
            throw Refuse($"The pod {config.Metadata.Name} asks for the host's {host}, which a microVM does not have. Run it by the handler \"oci\", or set daemon.auto_host_namespaces.");
        }

        if (namespaces.User is { Mode: NamespaceMode.Pod })
        {
            throw Refuse($"The pod {config.Metadata.Name} asks for a user namespace (hostUsers: false): in a microVM root is root of a machine of its own already. Leave it out.");
        }

        // Said early: it is read at the machine's start.
        _ = PodChecks.Number(config.Annotations, SpecAnnotations.Vcpus);
        _ = PodChecks.Number(config.Annotations, SpecAnnotations.MemoryMib);
    }

    public void Check(Pod pod, ContainerConfig config)
    {
        if (config.Devices.Count > 0)
        {
            throw Refuse($"The container \"{config.Name}\" asks for the host's device {config.Devices[0].HostPath}, which a microVM does not have. Run its pod by the handler \"oci\".");
        }

        NamespaceOptions namespaces = config.Security.Namespaces;
        if (namespaces.Network == NamespaceMode.Node || namespaces.Pid == NamespaceMode.Node || namespaces.Ipc == NamespaceMode.Node)
        {
            throw Refuse($"The container \"{config.Name}\" asks for namespaces of the host, which a microVM does not have. Run its pod by the handler \"oci\".");
        }

        if (config.Security.Apparmor is { Kind: ProfileKind.Localhost } apparmor)
        {
            throw Refuse($"The container \"{config.Name}\" asks for the AppArmor profile \"{apparmor.LocalhostRef}\": the guest's kernel has no AppArmor. Run its pod by the handler \"oci\".");
        }

        foreach (ContainerMount mount in config.Mounts)
        {
            string? wrong = mount switch
            {
                { Propagation: MountPropagation.Bidirectional } => "spreads mounts to the host (Bidirectional), which a microVM cannot. Run its pod by the handler \"oci\"",
                { UidMappings.Count: > 0 } or { GidMappings.Count: > 0 } => "maps users (uidMappings), which the handler \"microvm\" does not do",
                _ => null,
            };
            if (wrong is not null)
            {
                throw Refuse($"The mount at {mount.ContainerPath} of container \"{config.Name}\" {wrong}.");
            }
        }
    }

    public async Task<IRunningPod> StartAsync(PodLaunch launch, CancellationToken cancellation)
    {
        string id = launch.Pod.Id;
        await File.WriteAllBytesAsync(Path.Combine(launch.Folder, PodFolders.SpecFile), SandboxSpec.Of(launch.Pod).ToJson(), cancellation).ConfigureAwait(false);
        ShimPod? pod = null;
        try
        {
            // The shim comes up while the network's plugins run; the machine needs both.
            string address = await _shim.StartAsync(id, launch.Folder, cancellation).ConfigureAwait(false);
            ShimClient client = await ShimClient.ConnectAsync(address, cancellation).ConfigureAwait(false);
            pod = new ShimPod(id, launch, client, _shim, _log);
            if (launch.Network is { } network)
            {
                await network.WaitAsync(cancellation).ConfigureAwait(false);
            }

            await client.CreateAsync(new CreateTaskRequest { Id = id, Bundle = launch.Folder }, cancellation).ConfigureAwait(false);
            await client.StartAsync(id, "", cancellation).ConfigureAwait(false);
            await pod.ListenAsync(cancellation).ConfigureAwait(false);
            return pod;
        }
        catch
        {
            if (pod is not null)
            {
                await pod.DisposeAsync().ConfigureAwait(false);
            }

            await _shim.DeleteAsync(id, launch.Folder, CancellationToken.None).ConfigureAwait(false);
            throw;
        }
    }

    public async Task<IRunningPod?> AdoptAsync(PodLaunch launch, IReadOnlyList<Pods.Container> containers, CancellationToken cancellation)
    {
        string id = launch.Pod.Id;
        if (!launch.Pod.HandlerState.TryGetValue(AddressKey, out string? address))
        {
            return null;
        }

        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(s_answerTime);
        ShimPod? pod = null;
        try
        {
            ShimClient client = await ShimClient.ConnectAsync(address, limit.Token).ConfigureAwait(false);
            pod = new ShimPod(id, launch, client, _shim, _log);
            PodStatus status = await client.StatusAsync(limit.Token).ConfigureAwait(false);
            if (!status.Ready || status.PodId != id)
            {
                launch.OnEvent(new HandlerEvent.PodStopped(status.PodId == id ? status.Reason : "Its shim's address is another pod's now."));
                await pod.DisposeAsync().ConfigureAwait(false);
                return null;
            }

            Dictionary<string, ContainerState> known = status.Containers.ToDictionary(static one => one.ContainerId);
            foreach (Pods.Container container in containers.Where(container => !known.ContainsKey(container.Id)))
            {
                launch.OnEvent(new HandlerEvent.ContainerStopped(container.Id, 255, DateTimeOffset.UtcNow, false, "Its machine does not have it any more."));
            }

            foreach (Pods.Container container in containers.Where(static container => container.Phase == ContainerPhase.Created))
            {
                if (known.TryGetValue(container.Id, out ContainerState? state) && state.StartedAt is { } started)
                {
                    launch.OnEvent(new HandlerEvent.ContainerStarted(container.Id, started.ToDateTimeOffset()));
                }
            }

            HashSet<string> recorded = [.. containers.Select(static container => container.Id)];
            foreach (string stranger in known.Keys.Where(one => one != id && !recorded.Contains(one)))
            {
                await pod.RemoveContainerAsync(stranger, limit.Token).ConfigureAwait(false);
            }

            await pod.ListenAsync(limit.Token).ConfigureAwait(false);
            return pod;
        }
        catch (Exception e) when (e is SocketException or TtrpcException or IOException || (e is OperationCanceledException && !cancellation.IsCancellationRequested))
        {
            launch.OnEvent(new HandlerEvent.PodStopped($"Its shim does not answer: {e.Message}"));
            if (pod is not null)
            {
                await pod.DisposeAsync().ConfigureAwait(false);
            }

            return null;
        }
    }

    public Task CleanUpAsync(PodLaunch launch, CancellationToken cancellation) =>
        Directory.Exists(launch.Folder) ? _shim.DeleteAsync(launch.Pod.Id, launch.Folder, cancellation) : Task.CompletedTask;

    private static PodException Refuse(string message) => new(PodFault.InvalidArgument, message);
}
