using Hearth.Linux;
using Hearth.Linux.Netlink;
using Hearth.Shim.Machine;

namespace Hearth.Shim.Pods;

/// <summary>
/// Keeps a guest's network as the pod's namespace has it while its containers run: a manager connects one to a network, or takes it out.
/// Thread: the pod's loop hears of it, a task does the rest.
/// </summary>
internal sealed class NetworkFollower : IEventHandler, IAsyncDisposable
{
    // A manager moves an interface in, names it, gives it addresses, and then routes.
    private static readonly TimeSpan s_settle = TimeSpan.FromMilliseconds(100);

    private readonly Pod _pod;
    private readonly IPodMachine _machine;
    private readonly RouteWatch _watch;
    private readonly EventRegistration _registration;
    private readonly SemaphoreSlim _changed = new(0, 1);
    private readonly CancellationTokenSource _end = new();
    private readonly Task _following;

    private NetworkFollower(Pod pod, IPodMachine machine, RouteWatch watch)
    {
        _pod = pod;
        _machine = machine;
        _watch = watch;
        _registration = pod.Loop.Add(watch.Descriptor, EpollEvents.In, this);
        _following = FollowAsync();
    }

    /// <summary>Begins; null for a network that cannot change while the machine runs.</summary>
    public static NetworkFollower? Start(Pod pod, IPodMachine machine) => machine.WatchNetwork() is { } watch ? new NetworkFollower(pod, machine, watch) : null;

    public void OnReady(EpollEvents events)
    {
        _watch.Drain();
        CatchUp();
    }

    /// <summary>Looks again, soon.</summary>
    public void CatchUp()
    {
        lock (_changed)
        {
            if (_changed.CurrentCount == 0)
            {
                _changed.Release();
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync().ConfigureAwait(false);
        await _following.ConfigureAwait(false);
        // On the loop: it is not being called then.
        _pod.Loop.Post(() =>
        {
            _pod.Loop.Remove(_registration);
            _watch.Dispose();
        });
        _end.Dispose();
    }

    private async Task FollowAsync()
    {
        try
        {
            while (true)
            {
                await _changed.WaitAsync(_end.Token).ConfigureAwait(false);
                await Task.Delay(s_settle, _end.Token).ConfigureAwait(false);
                // Of a machine that is paused nobody answers; it is looked again when it goes on.
                if (!_pod.MachinePaused)
                {
                    // Docker's comes with the first network of a user's own.
                    await TryAsync(ServeNamesAsync).ConfigureAwait(false);
                    await TryAsync(() => _machine.JoinNetworkAsync(_end.Token)).ConfigureAwait(false);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The machine ends.
        }
    }

    private async Task ServeNamesAsync()
    {
        if (_pod.Containers.Select(static container => NameRelay.ResolverOf(container.Spec.Mounts)).FirstOrDefault(static resolver => resolver is not null) is { } found)
        {
            await _machine.ServeNamesAsync(found, _end.Token).ConfigureAwait(false);
        }
    }

    private async Task TryAsync(Func<Task> step)
    {
        try
        {
            await step().ConfigureAwait(false);
        }
        catch (Exception e)
        {
            // Whatever it was: the next change is followed all the same, and the machine's end waits for this.
            if (!_end.IsCancellationRequested)
            {
                _pod.Log.Error($"The network of pod \"{_pod.Options.PodId}\" has changed, and the guest's does not follow: {e.Message}");
            }
        }
    }
}
