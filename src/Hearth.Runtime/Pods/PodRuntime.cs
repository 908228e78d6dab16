using Hearth.Runtime.Images;

namespace Hearth.Runtime.Pods;

/// <summary>
/// Pods and containers: what a front door (CRI, a command line) calls. One process at a time has a root folder. Records are on
/// the disk before a call returns, so that whoever comes after kill -9 finds everything again, running pods too.
/// <para>
/// Every method throws <see cref="PodException"/> whose <see cref="PodException.Fault"/> says what kind of failure it is, and
/// <see cref="OperationCanceledException"/> when given up: what was begun is then undone or finished in the background. IDs may be
/// shortened as long as they are clear. Thread: any.
/// </para>
/// </summary>
public sealed partial class PodRuntime : IAsyncDisposable
{
    /// <summary>Reads the records, finds running pods again, and cleans away what a predecessor left half-made.</summary>
    /// <exception cref="PodException">FailedPrecondition: another process has the root folder.</exception>
    public static Task<PodRuntime> StartAsync(PodRuntimeOptions options, CancellationToken cancellation = default) => throw new NotSupportedException();

    /// <summary>Images: pull, list, remove, what they take of the disk.</summary>
    public ImageService Images => throw new NotSupportedException();

    /// <summary>Lets go of pods; they run on.</summary>
    public ValueTask DisposeAsync() => throw new NotSupportedException();

    /// <summary>Makes and starts a pod.</summary>
    /// <param name="config">What it is to be.</param>
    /// <param name="handler"><c>microvm</c>, <c>oci</c>, or empty for the configured one.</param>
    /// <param name="cancellation">Undoes it.</param>
    /// <returns>Its ID.</returns>
    /// <exception cref="PodException">AlreadyExists: a pod with this metadata is there. NotFound: no such handler.</exception>
    public Task<string> RunPodAsync(PodConfig config, string handler = "", CancellationToken cancellation = default) => throw new NotSupportedException();

    /// <summary>Stops its containers and its machine, and gives its network back. One that is stopped or gone is no error.</summary>
    public Task StopPodAsync(string id, CancellationToken cancellation = default) => throw new NotSupportedException();

    /// <summary>Stops it if it runs, and removes it with its containers. One that is gone is no error.</summary>
    public Task RemovePodAsync(string id, CancellationToken cancellation = default) => throw new NotSupportedException();

    /// <exception cref="PodException">NotFound.</exception>
    public Pod GetPod(string id) => throw new NotSupportedException();

    public IReadOnlyList<Pod> ListPods(PodFilter? filter = null) => throw new NotSupportedException();

    /// <summary>Makes a container in a pod that is ready; it waits to be started.</summary>
    /// <returns>Its ID.</returns>
    /// <exception cref="PodException">AlreadyExists: the pod has one of that name and attempt. NotFound: no such pod or image.</exception>
    public Task<string> CreateContainerAsync(string podId, ContainerConfig config, CancellationToken cancellation = default) => throw new NotSupportedException();

    /// <exception cref="PodException">FailedPrecondition: it was started before. NotFound: no such container. Others: its program cannot be run; it is then exited, with the reason.</exception>
    public Task StartContainerAsync(string id, CancellationToken cancellation = default) => throw new NotSupportedException();

    /// <summary>Sends its stop signal, and SIGKILL after <paramref name="timeout"/>. One that has ended or is gone is no error.</summary>
    public Task StopContainerAsync(string id, TimeSpan timeout, CancellationToken cancellation = default) => throw new NotSupportedException();

    /// <summary>Kills it if it runs, and removes it. One that is gone is no error.</summary>
    public Task RemoveContainerAsync(string id, CancellationToken cancellation = default) => throw new NotSupportedException();

    /// <exception cref="PodException">NotFound.</exception>
    public Container GetContainer(string id) => throw new NotSupportedException();

    public IReadOnlyList<Container> ListContainers(ContainerFilter? filter = null) => throw new NotSupportedException();

    /// <summary>More about a pod, for people: CRI's verbose info, each value JSON.</summary>
    public Task<IReadOnlyDictionary<string, string>> DescribePodAsync(string id, CancellationToken cancellation = default) => throw new NotSupportedException();

    /// <summary>More about a container, for people: CRI's verbose info, each value JSON.</summary>
    public Task<IReadOnlyDictionary<string, string>> DescribeContainerAsync(string id, CancellationToken cancellation = default) => throw new NotSupportedException();

    /// <summary>Changes limits of a container that was created or runs; what is 0 or empty stays.</summary>
    public Task UpdateContainerResourcesAsync(string id, LinuxResources resources, CancellationToken cancellation = default) => throw new NotSupportedException();

    /// <summary>Changes what the pod as a whole may use, its machine with it; null stays.</summary>
    /// <exception cref="PodException">FailedPrecondition: the machine cannot become so.</exception>
    public Task UpdatePodResourcesAsync(string id, LinuxResources? overhead, LinuxResources? resources, CancellationToken cancellation = default) => throw new NotSupportedException();

    /// <summary>Goes on with a running container's log in a new file of the same name.</summary>
    public Task ReopenLogAsync(string id, CancellationToken cancellation = default) => throw new NotSupportedException();

    /// <summary>Runs a command in a running container.</summary>
    /// <param name="id">The container.</param>
    /// <param name="command">Program and arguments.</param>
    /// <param name="timeout">After which the command is killed; null for never.</param>
    /// <param name="cancellation">Ends the wait.</param>
    /// <exception cref="PodException">DeadlineExceeded; FailedPrecondition: it does not run. A program that is not there is no exception but exit code 127, one that cannot be run 126, with the reason on stderr.</exception>
    public Task<ExecResult> ExecSyncAsync(string id, IReadOnlyList<string> command, TimeSpan? timeout = null, CancellationToken cancellation = default) => throw new NotSupportedException();

    /// <summary>Runs a command in a running container, with streams. It runs when this returns.</summary>
    public Task<IProcessSession> OpenExecAsync(string id, ExecOptions options, CancellationToken cancellation = default) => throw new NotSupportedException();

    /// <summary>Joins a running container's streams: output from now on.</summary>
    public Task<IProcessSession> OpenAttachAsync(string id, AttachOptions options, CancellationToken cancellation = default) => throw new NotSupportedException();

    /// <summary>Opens a TCP connection to a port of the pod's loopback interface.</summary>
    /// <exception cref="PodException">NotFound: no such pod, or nobody listens there.</exception>
    public Task<Stream> OpenPortAsync(string podId, ushort port, CancellationToken cancellation = default) => throw new NotSupportedException();

    public Task<ContainerUsage> ContainerStatsAsync(string id, CancellationToken cancellation = default) => throw new NotSupportedException();

    /// <summary>Of the running containers among those that the filter means.</summary>
    public Task<IReadOnlyList<ContainerUsage>> ListContainerStatsAsync(ContainerFilter? filter = null, CancellationToken cancellation = default) => throw new NotSupportedException();

    public Task<PodUsage> PodStatsAsync(string id, CancellationToken cancellation = default) => throw new NotSupportedException();

    /// <summary>Of the ready pods among those that the filter means.</summary>
    public Task<IReadOnlyList<PodUsage>> ListPodStatsAsync(PodFilter? filter = null, CancellationToken cancellation = default) => throw new NotSupportedException();

    /// <summary>What happens from now on, until it is given up. Who reads too slowly (1000 behind) misses the oldest.</summary>
    public IAsyncEnumerable<PodChange> WatchAsync(CancellationToken cancellation = default) => throw new NotSupportedException();

    public RuntimeStatus Status() => throw new NotSupportedException();

    /// <summary>The address range that the kubelet gives this node's pods: for a CNI configuration that waits for one.</summary>
    public void SetPodCidr(string cidr) => throw new NotSupportedException();

    /// <summary>Refuses with a reason: a machine's snapshot is no container's.</summary>
    /// <exception cref="PodException">Unimplemented, or NotFound.</exception>
    public Task CheckpointContainerAsync(string id, string location, CancellationToken cancellation = default) => throw new NotSupportedException();
}
