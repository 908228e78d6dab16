using Hearth.Configuration;
using Hearth.Runtime.Handlers;
using Hearth.Runtime.Images;
using Hearth.Runtime.Networks;
using Hearth.Runtime.OciPods;
using Hearth.Runtime.Records;
using Hearth.Runtime.State;

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
    private readonly HearthConfig _config;
    private readonly Action<string> _log;
    private readonly RecordStore _store;
    private readonly IPodNetwork _network;
    private readonly Dictionary<string, IPodHandler> _handlers;
    private readonly Registry<PodEntry> _pods = new("pod");
    private readonly Registry<ContainerEntry> _containers = new("container");
    private readonly ChangeFeed _feed = new();

    internal PodRuntime(PodRuntimeOptions options, RecordStore store, ImageService images, IReadOnlyList<IPodHandler> handlers, IPodNetwork network)
    {
        _config = options.Config;
        _log = options.Log;
        _store = store;
        Images = images;
        _network = network;
        _handlers = handlers.ToDictionary(static handler => handler.Name);
    }

    internal RecordStore Store => _store;

    /// <summary>Images: pull, list, remove, what they take of the disk.</summary>
    public ImageService Images { get; }

    /// <summary>Reads the records, finds running pods again, and cleans away what a predecessor left half-made.</summary>
    /// <exception cref="PodException">FailedPrecondition: another process has the root folder.</exception>
    public static Task<PodRuntime> StartAsync(PodRuntimeOptions options, CancellationToken cancellation = default)
    {
        IPodHandler[] handlers = [new MicrovmHandler(options.Config, options.ConfigPath, options.Log), new OciHandler(options.Config, options.Log)];
        return StartAsync(options, handlers, new CniPodNetwork(options.Config), cancellation);
    }

    internal static async Task<PodRuntime> StartAsync(
        PodRuntimeOptions options, IReadOnlyList<IPodHandler> handlers, IPodNetwork network, CancellationToken cancellation = default)
    {
        var store = new RecordStore(options.Config.Daemon.Root);
        try
        {
            Directory.CreateDirectory(options.Config.Daemon.State, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
                | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
            var runtime = new PodRuntime(options, store, new ImageService(options.Config, options.ImageBuilder), handlers, network);
            await runtime.RecoverAsync(cancellation).ConfigureAwait(false);
            return runtime;
        }
        catch (Exception e)
        {
            store.Dispose();
            throw Failures.Of(e, "Starting");
        }
    }

    /// <summary>Lets go of pods; they run on.</summary>
    public async ValueTask DisposeAsync()
    {
        _feed.Complete();
        foreach (PodEntry pod in _pods.All)
        {
            if (pod.Running is { } running)
            {
                await running.DisposeAsync().ConfigureAwait(false);
            }
        }

        foreach (ContainerEntry container in _containers.All)
        {
            container.ReleaseHolds();
        }

        _store.Dispose();
    }

    /// <exception cref="PodException">NotFound.</exception>
    public Pod GetPod(string id) => Visible(_pods.Get(id)).Record;

    public IReadOnlyList<Pod> ListPods(PodFilter? filter = null)
    {
        filter ??= new PodFilter();
        return
        [
            .. _pods.All.Select(static entry => entry.Record)
                .Where(pod => pod.Phase != PodPhase.Starting
                    && pod.Id.StartsWith(filter.Id, StringComparison.Ordinal)
                    && (filter.Ready is not { } ready || pod.IsReady == ready)
                    && HasAll(pod.Config.Labels, filter.Labels))
                .OrderByDescending(static pod => pod.CreatedAt),
        ];
    }

    /// <exception cref="PodException">NotFound.</exception>
    public Container GetContainer(string id) => Visible(_containers.Get(id)).Record;

    public IReadOnlyList<Container> ListContainers(ContainerFilter? filter = null)
    {
        filter ??= new ContainerFilter();
        return
        [
            .. _containers.All.Select(static entry => entry.Record)
                .Where(container => container.Phase != ContainerPhase.Creating
                    && container.Id.StartsWith(filter.Id, StringComparison.Ordinal)
                    && container.PodId.StartsWith(filter.PodId, StringComparison.Ordinal)
                    && (filter.Phase is not { } phase || container.Phase == phase)
                    && HasAll(container.Config.Labels, filter.Labels))
                .OrderByDescending(static container => container.CreatedAt),
        ];
    }

    /// <summary>What happens from this call on, until it is given up. Who reads too slowly (1000 behind) misses the oldest.</summary>
    public IAsyncEnumerable<PodChange> WatchAsync(CancellationToken cancellation = default) => _feed.WatchAsync(cancellation);

    /// <summary>Whether pods can be run now. Cheap enough to be asked every few seconds.</summary>
    public async Task<RuntimeStatus> StatusAsync(CancellationToken cancellation = default)
    {
        HandlerStatus[] handlers = [.. _handlers.Values.Select(static handler => new HandlerStatus(handler.Name, handler.RecursiveReadonlyMounts, handler.UserNamespaces, handler.Problem()))];
        HandlerStatus? main = handlers.FirstOrDefault(handler => handler.Name == _config.Daemon.DefaultHandler);
        string? network = await _network.ProblemAsync(cancellation).ConfigureAwait(false);
        return new RuntimeStatus
        {
            Ready = main is { Problem: "" },
            Reason = main is { Problem: "" } ? "" : "HandlerNotReady",
            Message = main?.Problem ?? $"There is no handler \"{_config.Daemon.DefaultHandler}\" (daemon.default_handler).",
            NetworkReady = network is null,
            NetworkReason = network is null ? "" : "NetworkPluginNotReady",
            NetworkMessage = network ?? "",
            Handlers = main is null ? handlers : [main with { Name = "" }, .. handlers],
        };
    }

    /// <summary>The address range that the kubelet gives this node's pods: for the next ones, where no network is configured.</summary>
    /// <exception cref="PodException">InvalidArgument: it is no range.</exception>
    public void SetPodCidr(string cidr) => _network.SetPodCidr(cidr);

    private static bool HasAll(IReadOnlyDictionary<string, string> labels, IReadOnlyDictionary<string, string> wanted) =>
        wanted.All(pair => labels.TryGetValue(pair.Key, out string? value) && value == pair.Value);

    private static PodEntry Visible(PodEntry entry) =>
        entry.Record.Phase != PodPhase.Starting ? entry : throw new PodException(PodFault.NotFound, $"The pod {entry.Record.Id} is still being made.");

    private static ContainerEntry Visible(ContainerEntry entry) =>
        entry.Record.Phase != ContainerPhase.Creating ? entry : throw new PodException(PodFault.NotFound, $"The container {entry.Record.Id} is still being made.");

    private IEnumerable<ContainerEntry> ContainersOf(PodEntry pod) => _containers.All.Where(container => container.Pod == pod);

    private void Publish(ChangeKind kind, PodEntry pod, Container? container, bool removed = false)
    {
        if (_feed.HasWatchers)
        {
            Container[] all = [.. ContainersOf(pod).Select(static entry => entry.Record).Where(static one => one.Phase != ContainerPhase.Creating)];
            _feed.Publish(new PodChange(kind, container?.Id ?? pod.Record.Id, DateTimeOffset.UtcNow, removed ? null : pod.Record, container, all));
        }
    }

    /// <summary>Changes a record, on the disk first.</summary>
    /// <param name="entry">Whose.</param>
    /// <param name="change">Null for no change.</param>
    /// <param name="fact">It has happened: a disk that takes no more does not undo it.</param>
    /// <param name="flush">Whether it means something after a reboot, which no pod survives.</param>
    /// <returns>Whether there was a change.</returns>
    private bool Update(ContainerEntry entry, Func<Container, Container?> change, bool fact = false, bool flush = true)
    {
        lock (entry.Sync)
        {
            if (change(entry.Record) is not { } changed)
            {
                return false;
            }

            Keep(() => _store.Write(changed, flush), fact);
            entry.Record = changed;
            return true;
        }
    }

    private bool Update(PodEntry entry, Func<Pod, Pod?> change, bool fact = false)
    {
        lock (entry.Sync)
        {
            if (change(entry.Record) is not { } changed)
            {
                return false;
            }

            Keep(() => _store.Write(changed), fact);
            entry.Record = changed;
            return true;
        }
    }

    private void Keep(Action write, bool fact)
    {
        try
        {
            write();
        }
        catch (PodException e) when (fact)
        {
            _log(e.Message);
        }
    }

    /// <summary>Does something to its end; who waits for it may stop waiting.</summary>
    private async Task DetachedAsync(Func<Task> work, string what, CancellationToken cancellation)
    {
        Task task = Task.Run(work, CancellationToken.None);
        try
        {
            await task.WaitAsync(cancellation).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!task.IsCompleted)
        {
            _ = task.ContinueWith(
                failed => _log($"{what} failed after its client had gone: {failed.Exception!.GetBaseException().Message}"),
                CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
            throw;
        }
        catch (Exception e)
        {
            throw Failures.Of(e, what);
        }
    }

    /// <summary>Tries to clean something away, and tells what fails: the next start tries again.</summary>
    private async Task CleanAsync(string what, Func<Task> work)
    {
        try
        {
            await work().ConfigureAwait(false);
        }
        catch (Exception e) when (Failures.Of(e, what) is PodException or OperationCanceledException)
        {
            _log($"{what} failed: {e.Message}");
        }
    }
}
