using Hearth.Configuration;
using Hearth.Images;
using Hearth.Oci.Runtime;
using Hearth.Runtime.Pods;

namespace Hearth.Runtime.Handlers;

/// <summary>
/// One way of running pods (CRI's runtime handler). It keeps nothing on the disk but in the folders it is given, and what it
/// must know to find a pod again is in <see cref="IRunningPod.State"/>. The records are <see cref="PodRuntime"/>'s business, as are
/// networks, images and specifications. Failures are <see cref="PodException"/>s. Thread: any.
/// </summary>
public interface IPodHandler
{
    /// <summary><c>microvm</c>, <c>oci</c>.</summary>
    string Name { get; }

    bool RecursiveReadonlyMounts { get; }

    bool UserNamespaces { get; }

    /// <summary>What is missing on this host to run pods; empty for nothing. Cheap: it is asked every few seconds.</summary>
    string Problem();

    /// <summary>Refuses a pod that this handler cannot run.</summary>
    /// <exception cref="PodException">InvalidArgument, naming what cannot be had, and which handler can.</exception>
    void Check(PodConfig config);

    /// <summary>Refuses a container that this handler cannot run, before anything is made.</summary>
    /// <exception cref="PodException">InvalidArgument, naming what cannot be had, and which handler can.</exception>
    void Check(Pod pod, ContainerConfig config);

    /// <summary>Starts a pod: on return containers can be made in it. A failure leaves nothing.</summary>
    Task<IRunningPod> StartAsync(PodLaunch launch, CancellationToken cancellation);

    /// <summary>Finds a pod again that this process's predecessor started.</summary>
    /// <param name="launch">As at the start; <see cref="PodLaunch.Pod"/> has the state that was kept.</param>
    /// <param name="containers">Those that are on record.</param>
    /// <param name="cancellation">Ends the attempt.</param>
    /// <returns>Null if it is gone. What has ended meanwhile comes as events.</returns>
    Task<IRunningPod?> AdoptAsync(PodLaunch launch, IReadOnlyList<Container> containers, CancellationToken cancellation);

    /// <summary>Ends and removes whatever is left of a pod, also of one that was never quite started. Doing it twice is no error.</summary>
    Task CleanUpAsync(PodLaunch launch, CancellationToken cancellation);
}

/// <summary>What a handler is given to start a pod.</summary>
public sealed record PodLaunch
{
    public required Pod Pod { get; init; }

    public required HearthConfig Config { get; init; }

    /// <summary>A folder of the pod's own that does not outlive a reboot (<c>STATE/bundles/ID</c>): there, and empty at the start.</summary>
    public required string Folder { get; init; }

    /// <summary>resolv.conf, hosts and hostname of the pod, for containers to be mounted.</summary>
    public required PodFiles Files { get; init; }

    /// <summary>
    /// Completes when the pod's network is there (<see cref="Pod.NetworkNamespace"/> has its interfaces); fails as the network
    /// failed. What does not need the network goes on meanwhile. Null for a pod of the host's network, and for AdoptAsync.
    /// </summary>
    public Task? Network { get; init; }

    /// <summary>Told of what happens; called in order, by one thread at a time, and returns soon.</summary>
    public required Action<HandlerEvent> OnEvent { get; init; }
}

/// <summary>Files that lie in the pod's folder. Paths of the host.</summary>
public sealed record PodFiles(string ResolvConf, string Hosts, string Hostname);

/// <summary>What happens in a pod by itself.</summary>
public abstract record HandlerEvent
{
    private HandlerEvent()
    {
    }

    /// <summary>A container that is on record as created has been started: found so by AdoptAsync, after a start that nobody could write down.</summary>
    public sealed record ContainerStarted(string ContainerId, DateTimeOffset At) : HandlerEvent;

    /// <summary>A container's first process has ended. May come more than once; the first counts.</summary>
    public sealed record ContainerStopped(string ContainerId, int ExitCode, DateTimeOffset At, bool OutOfMemory, string Message = "") : HandlerEvent;

    /// <summary>The kernel has killed a process of a container, which may go on, for want of memory.</summary>
    public sealed record MemoryKill(string ContainerId) : HandlerEvent;

    /// <summary>The pod has ended, and all containers in it; the handler keeps nothing of it but what CleanUpAsync removes.</summary>
    public sealed record PodStopped(string Reason) : HandlerEvent;
}

/// <summary>
/// A pod that was started or adopted. Containers are named by their ids. Disposing lets go of it, and ends nothing.
/// Thread: any; calls on one container come one at a time, but for those that run or look (exec, attach, stats).
/// </summary>
public interface IRunningPod : IAsyncDisposable
{
    /// <summary>What <see cref="IPodHandler.AdoptAsync"/> needs, kept in the pod's record.</summary>
    IReadOnlyDictionary<string, string> State { get; }

    /// <summary>Makes a container, which waits to be started. A failure leaves nothing.</summary>
    /// <returns>What is to be kept in the container's record.</returns>
    Task<IReadOnlyDictionary<string, string>> CreateContainerAsync(ContainerLaunch launch, CancellationToken cancellation);

    Task StartContainerAsync(string id, CancellationToken cancellation);

    /// <summary>Sends a signal to the first process, or to all. A process that is gone is no error.</summary>
    Task KillAsync(string id, int signal, bool all, CancellationToken cancellation);

    /// <summary>Kills what is left of a container and removes it. One that is gone is no error.</summary>
    Task RemoveContainerAsync(string id, CancellationToken cancellation);

    Task UpdateContainerAsync(string id, ResourcesSpec resources, CancellationToken cancellation);

    /// <summary>What the pod as a whole may use now.</summary>
    Task UpdatePodAsync(ResourcesSpec resources, CancellationToken cancellation);

    Task ReopenLogAsync(string id, CancellationToken cancellation);

    /// <param name="id">A running container.</param>
    /// <param name="process">To be run.</param>
    /// <param name="timeout">After which it is killed, and DeadlineExceeded is thrown; null for never.</param>
    /// <param name="cancellation">Ends the wait.</param>
    Task<ExecResult> RunAsync(string id, ProcessSpec process, TimeSpan? timeout, CancellationToken cancellation);

    Task<IProcessSession> ExecAsync(string id, ProcessSpec process, ExecOptions options, CancellationToken cancellation);

    Task<IProcessSession> AttachAsync(Container container, AttachOptions options, CancellationToken cancellation);

    /// <exception cref="PodException">NotFound: nobody listens there.</exception>
    Task<Stream> OpenPortAsync(ushort port, CancellationToken cancellation);

    Task<PodSample> StatsAsync(CancellationToken cancellation);

    /// <summary>More about the pod, for people: CRI's verbose info.</summary>
    Task<IReadOnlyDictionary<string, string>> DescribeAsync(CancellationToken cancellation);

    /// <summary>Ends the pod with all containers, and gives back everything it had. On return CleanUpAsync has nothing to do.</summary>
    Task StopAsync(CancellationToken cancellation);
}

/// <summary>What a handler is given to make a container.</summary>
public sealed record ContainerLaunch
{
    public required Container Container { get; init; }

    /// <summary>A folder of the container's own below the pod's, there and empty: its bundle.</summary>
    public required string Folder { get; init; }

    /// <summary>
    /// Complete, but for what is the handler's, which writes it as <c>config.json</c> into <see cref="Folder"/>: namespaces (<see cref="ContainerConfig.Security"/> says which), cgroupsPath, root.path,
    /// annotations, devices of the host. Bind mounts' sources are paths of the host; /dev/shm's is <c>shm</c> in the pod's folder.
    /// </summary>
    public required RuntimeSpec Spec { get; init; }

    public required Image Image { get; init; }

    /// <summary>Images that are mounted: the position in <see cref="ContainerConfig.Mounts"/>, and the image.</summary>
    public IReadOnlyDictionary<int, Image> ImageVolumes { get; init; } = new Dictionary<int, Image>();
}

/// <summary>What a pod uses at one moment, as the handler sees it.</summary>
public sealed record PodSample
{
    public required DateTimeOffset TakenAt { get; init; }

    public IReadOnlyList<ContainerSample> Containers { get; init; } = [];

    public IReadOnlyList<InterfaceUse> Interfaces { get; init; } = [];

    public ulong HostMemoryBytes { get; init; }

    public ulong HostCpuNanoseconds { get; init; }
}

/// <summary>What a container uses at one moment.</summary>
public sealed record ContainerSample
{
    public required string Id { get; init; }

    public required ulong CpuNanoseconds { get; init; }

    public required MemoryUse Memory { get; init; }

    public ulong Pids { get; init; }

    public ulong WritableBytes { get; init; }

    public ulong WritableInodes { get; init; }

    /// <summary>What else the kernel counts: <see cref="Pods.ContainerUsage.Counters"/>.</summary>
    public IReadOnlyDictionary<string, ulong> Counters { get; init; } = new Dictionary<string, ulong>();
}
