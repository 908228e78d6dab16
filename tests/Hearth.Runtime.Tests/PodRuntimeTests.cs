using Hearth.Runtime.Handlers;
using Hearth.Runtime.Pods;

namespace Hearth.Runtime.Tests;

public sealed class PodRuntimeTests : IAsyncLifetime
{
    private readonly World _world = new();

    private PodRuntime Runtime => _world.Runtime;

    public async ValueTask InitializeAsync() => await _world.RestartAsync();

    public ValueTask DisposeAsync() => _world.DisposeAsync();

    [Fact]
    public async Task A_pod_with_a_container_lives_and_leaves_nothing()
    {
        string pod = await Runtime.RunPodAsync(Pod("p"));
        Pod record = Runtime.GetPod(pod);
        Assert.True(record.IsReady);
        Assert.Equal(["10.0.0.2", "fd00::2"], record.Ips);
        Assert.Contains("10.0.0.2\tp\n", File.ReadAllText(Path.Combine(Folder(pod), "hosts")));
        string container = await Runtime.CreateContainerAsync(pod, Container("c"));
        Assert.Equal(ContainerPhase.Created, Runtime.GetContainer(container).Phase);
        await Runtime.StartContainerAsync(container);
        Assert.Equal(ContainerPhase.Running, Runtime.GetContainer(container).Phase);
        Assert.Equal("echo hi", System.Text.Encoding.UTF8.GetString((await Runtime.ExecSyncAsync(container, ["echo", "hi"])).Stdout));
        Assert.Equal(5ul, Assert.Single((await Runtime.PodStatsAsync(pod)).Containers).Memory.Usage);
        await Runtime.StopContainerAsync(container, TimeSpan.FromMinutes(1));
        Container ended = Runtime.GetContainer(container);
        Assert.Equal((ContainerPhase.Exited, 128 + 15, "Error"), (ended.Phase, ended.ExitCode, ended.Reason));
        await Runtime.RemoveContainerAsync(container);
        await Runtime.StopPodAsync(pod);
        Assert.Equal(PodPhase.NotReady, Runtime.GetPod(pod).Phase);
        await Runtime.RemovePodAsync(pod);
        Nothing();
    }

    [Fact]
    public async Task Stopping_and_removing_twice_or_never_made_is_no_error()
    {
        string pod = await Runtime.RunPodAsync(Pod("p"));
        string container = await Runtime.CreateContainerAsync(pod, Container("c"));
        for (int i = 0; i < 2; i++)
        {
            await Runtime.StopContainerAsync(container, TimeSpan.Zero);
            await Runtime.StopPodAsync(pod);
        }

        for (int i = 0; i < 2; i++)
        {
            await Runtime.RemoveContainerAsync(container);
            await Runtime.RemovePodAsync(pod);
        }

        await Runtime.StopContainerAsync("none", TimeSpan.Zero);
        await Runtime.StopPodAsync("none");
        Faults(PodFault.NotFound, () => Runtime.GetPod("none"));
        await FaultsAsync(PodFault.NotFound, Runtime.StartContainerAsync("none"));
        Nothing();
    }

    [Fact]
    public async Task An_image_that_is_mounted_is_told_by_its_id()
    {
        string pod = await Runtime.RunPodAsync(Pod("p"));
        string id = await Runtime.CreateContainerAsync(pod, Container("c") with { Mounts = [new ContainerMount { ContainerPath = "/v", Image = "test", Readonly = true }] });
        Container made = Runtime.GetContainer(id);
        Assert.StartsWith("sha256:", made.ImageId, StringComparison.Ordinal);
        Assert.Equal(made.ImageId, made.Config.Mounts.Single().ImageId);
    }

    [Fact]
    public async Task A_removed_pod_takes_its_running_containers_along()
    {
        string pod = await Runtime.RunPodAsync(Pod("p"));
        string container = await StartedAsync(pod, "c", "/stubborn");
        await Runtime.RemovePodAsync(pod);
        Faults(PodFault.NotFound, () => Runtime.GetContainer(container));
        Nothing();
    }

    [Fact]
    public async Task A_stubborn_container_is_killed_after_its_time()
    {
        string container = await StartedAsync(await Runtime.RunPodAsync(Pod("p")), "c", "/stubborn");
        await Runtime.StopContainerAsync(container, TimeSpan.FromMilliseconds(50));
        Assert.Equal(137, Runtime.GetContainer(container).ExitCode);
    }

    [Fact]
    public async Task Names_are_one_pods_until_it_is_removed()
    {
        string pod = await Runtime.RunPodAsync(Pod("p"));
        PodException e = await FaultsAsync(PodFault.AlreadyExists, Runtime.RunPodAsync(Pod("p")));
        Assert.Contains(pod, e.Message);
        await Runtime.RunPodAsync(Pod("p") with { Metadata = Pod("p").Metadata with { Attempt = 1 } });
        string container = await Runtime.CreateContainerAsync(pod, Container("c"));
        e = await FaultsAsync(PodFault.AlreadyExists, Runtime.CreateContainerAsync(pod, Container("c")));
        Assert.Contains(container, e.Message);
        await Runtime.RemovePodAsync(pod);
        await Runtime.RunPodAsync(Pod("p"));
    }

    [Fact]
    public async Task What_fails_leaves_nothing()
    {
        _world.NetworkFailure = "plugin \"bridge\" failed";
        PodException e = await FaultsAsync(PodFault.Internal, Runtime.RunPodAsync(Pod("p")));
        Assert.Contains("plugin \"bridge\" failed", e.Message);
        Nothing();
        _world.NetworkFailure = null;
        _world.StartFailure = "no kernel";
        await FaultsAsync(PodFault.Unavailable, Runtime.RunPodAsync(Pod("p")));
        Nothing();
        _world.StartFailure = null;
        string pod = await Runtime.RunPodAsync(Pod("p"));
        await FaultsAsync(PodFault.NotFound, Runtime.CreateContainerAsync(pod, Container("c") with { Image = "absent" }));
        await FaultsAsync(PodFault.Internal, Runtime.CreateContainerAsync(pod, Container("c") with { Command = ["/fails-to-create"] }));
        Assert.Empty(Runtime.ListContainers());
        Assert.Empty(Directory.GetFiles(Path.Combine(_world.Config.Daemon.Root, "containers")));
        Assert.Empty(Directory.GetDirectories(Path.Combine(Folder(pod), "containers")));
        await Runtime.CreateContainerAsync(pod, Container("c"));
    }

    [Fact]
    public async Task A_pod_that_is_given_up_is_undone()
    {
        using var given = new CancellationTokenSource();
        await given.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Runtime.RunPodAsync(Pod("p"), "", given.Token));
        Nothing();
    }

    [Fact]
    public async Task States_are_kept_to()
    {
        string pod = await Runtime.RunPodAsync(Pod("p"));
        string container = await StartedAsync(pod, "c", "/bin/true");
        await FaultsAsync(PodFault.FailedPrecondition, Runtime.StartContainerAsync(container));
        await Runtime.StopContainerAsync(container, TimeSpan.Zero);
        await FaultsAsync(PodFault.FailedPrecondition, Runtime.StartContainerAsync(container));
        await FaultsAsync(PodFault.FailedPrecondition, Runtime.ExecSyncAsync(container, ["x"]));
        await FaultsAsync(PodFault.FailedPrecondition, Runtime.ContainerStatsAsync(container));
        await FaultsAsync(PodFault.FailedPrecondition, Runtime.UpdateContainerResourcesAsync(container, new LinuxResources { CpuShares = 2 }));
        await Runtime.StopPodAsync(pod);
        await FaultsAsync(PodFault.FailedPrecondition, Runtime.CreateContainerAsync(pod, Container("d")));
        await FaultsAsync(PodFault.NotFound, Runtime.RunPodAsync(Pod("q"), "unheard-of"));
    }

    [Fact]
    public async Task A_program_that_is_not_there_is_told_and_kept()
    {
        string pod = await Runtime.RunPodAsync(Pod("p"));
        string container = await Runtime.CreateContainerAsync(pod, Container("c") with { Command = ["/missing"] });
        await FaultsAsync(PodFault.NotFound, Runtime.StartContainerAsync(container));
        Container record = Runtime.GetContainer(container);
        Assert.Equal((ContainerPhase.Exited, 127, "StartError"), (record.Phase, record.ExitCode, record.Reason));
        Assert.Contains("/missing", record.Message);
    }

    [Fact]
    public async Task No_container_ends_before_it_starts_whatever_the_guests_clock_says()
    {
        _world.GuestsAreBehind = TimeSpan.FromMinutes(1);
        string pod = await Runtime.RunPodAsync(Pod("p"));
        string container = await StartedAsync(pod, "c", "/bin/true");

        await Runtime.StopContainerAsync(container, TimeSpan.FromMinutes(1));

        Container ended = Runtime.GetContainer(container);
        Assert.True(ended.StartedAt <= ended.FinishedAt, $"{ended.StartedAt:O} to {ended.FinishedAt:O}");
    }

    [Fact]
    public async Task Events_come_in_order_even_of_a_container_that_ends_at_once()
    {
        using var end = new CancellationTokenSource();
        IAsyncEnumerable<PodChange> changes = Runtime.WatchAsync(end.Token);
        string pod = await Runtime.RunPodAsync(Pod("p"));
        string container = await StartedAsync(pod, "c", "/ends-at-once");
        Assert.Equal(3, Runtime.GetContainer(container).ExitCode);
        await Runtime.RemovePodAsync(pod);
        var seen = new List<(ChangeKind, string)>();
        await foreach (PodChange change in changes)
        {
            seen.Add((change.Kind, change.Id));
            if (change.Kind == ChangeKind.Deleted && change.Id == pod)
            {
                Assert.Null(change.Pod);
                break;
            }
        }

        Assert.Equal(
            [
                (ChangeKind.Created, pod), (ChangeKind.Started, pod), (ChangeKind.Created, container), (ChangeKind.Started, container),
                (ChangeKind.Stopped, container), (ChangeKind.Stopped, pod), (ChangeKind.Deleted, container), (ChangeKind.Deleted, pod),
            ],
            seen);
    }

    [Fact]
    public async Task Filters_take_what_fits_and_ids_may_be_short()
    {
        string one = await Runtime.RunPodAsync(Pod("one") with { Labels = new Dictionary<string, string> { ["a"] = "1", ["b"] = "2" } });
        string two = await Runtime.RunPodAsync(Pod("two") with { Labels = new Dictionary<string, string> { ["a"] = "1" } });
        await Runtime.StopPodAsync(two);
        Assert.Equal([two, one], Ids(new PodFilter { Labels = new Dictionary<string, string> { ["a"] = "1" } }));
        Assert.Equal([one], Ids(new PodFilter { Labels = new Dictionary<string, string> { ["a"] = "1", ["b"] = "2" } }));
        Assert.Equal([two], Ids(new PodFilter { Ready = false }));
        Assert.Equal([one], Ids(new PodFilter { Id = one[..12] }));
        Assert.Empty(Ids(new PodFilter { Id = "zz" }));
        Assert.Equal(one, Runtime.GetPod(one[..20]).Id);
        string container = await StartedAsync(one, "c", "/bin/true");
        string created = await Runtime.CreateContainerAsync(one, Container("d"));
        Assert.Equal([container], Containers(new ContainerFilter { Phase = ContainerPhase.Running }));
        Assert.Equal([created, container], Containers(new ContainerFilter { PodId = one[..10] }));
        Assert.Empty(Containers(new ContainerFilter { PodId = two }));

        string[] Ids(PodFilter filter) => [.. Runtime.ListPods(filter).Select(pod => pod.Id)];
        string[] Containers(ContainerFilter filter) => [.. Runtime.ListContainers(filter).Select(container => container.Id)];
    }

    [Fact]
    public async Task A_pod_that_ends_by_itself_is_told_and_cleaned_up_after()
    {
        string pod = await Runtime.RunPodAsync(Pod("p"));
        string container = await StartedAsync(pod, "c", "/bin/true");
        _world.Pods[pod].OnEvent!(new HandlerEvent.PodStopped("the guest panicked"));
        await Until(() => Runtime.GetPod(pod).NetworkReleased);
        Assert.Equal("the guest panicked", Runtime.GetPod(pod).Reason);
        Container record = Runtime.GetContainer(container);
        Assert.Equal((ContainerPhase.Exited, "ContainerStatusUnknown", "the guest panicked"), (record.Phase, record.Reason, record.Message));
        Assert.Empty(_world.Pods);
        Assert.Empty(_world.Networks);
        await Runtime.StopContainerAsync(container, TimeSpan.FromSeconds(1));
        await Runtime.RemovePodAsync(pod);
        Nothing();
    }

    [Fact]
    public async Task Pods_are_found_again_with_what_happened_meanwhile()
    {
        string pod = await Runtime.RunPodAsync(Pod("p"));
        string lives = await StartedAsync(pod, "lives", "/bin/true");
        string ends = await StartedAsync(pod, "ends", "/bin/true");
        string lost = await StartedAsync(pod, "lost", "/bin/true");
        string dead = await Runtime.RunPodAsync(Pod("dead"));
        string died = await StartedAsync(dead, "died", "/bin/true");
        string stopped = await Runtime.RunPodAsync(Pod("stopped"));
        await Runtime.StopPodAsync(stopped);
        _world.Pods[pod].OnEvent = null;
        _world.Pods[pod].Containers[ends].ExitCode = 7;
        _world.Pods[pod].Containers.TryRemove(lost, out _);
        _world.Pods.TryRemove(dead, out _);
        Directory.CreateDirectory(Folder("stranger"));
        string shims = Directory.CreateDirectory(Path.Combine(_world.Config.Daemon.State, "pods", "0123")).FullName;
        _world.Networks["stranger"] = true;

        await _world.RestartAsync();
        Assert.True(Runtime.GetPod(pod).IsReady);
        Assert.Equal(ContainerPhase.Running, Runtime.GetContainer(lives).Phase);
        Assert.Equal("echo", System.Text.Encoding.UTF8.GetString((await Runtime.ExecSyncAsync(lives, ["echo"])).Stdout));
        Assert.Equal((ContainerPhase.Exited, 7), (Runtime.GetContainer(ends).Phase, Runtime.GetContainer(ends).ExitCode));
        Assert.Equal("ContainerStatusUnknown", Runtime.GetContainer(lost).Reason);
        Assert.False(Runtime.GetPod(dead).IsReady);
        Assert.Equal(ContainerPhase.Exited, Runtime.GetContainer(died).Phase);
        Assert.False(Runtime.GetPod(stopped).IsReady);
        Assert.Equal([pod], _world.Networks.Keys);
        Assert.False(Directory.Exists(Folder("stranger")));
        Assert.True(Directory.Exists(shims));
        await FaultsAsync(PodFault.AlreadyExists, Runtime.RunPodAsync(Pod("p")));
        await Runtime.StopContainerAsync(lives, TimeSpan.FromMinutes(1));
        foreach (string id in new[] { pod, dead, stopped })
        {
            await Runtime.RemovePodAsync(id);
        }

        Nothing();
    }

    [Fact]
    public async Task One_manager_at_a_time_has_the_folder()
    {
        var options = new PodRuntimeOptions { Config = _world.Config };
        await FaultsAsync(PodFault.FailedPrecondition, PodRuntime.StartAsync(options, [], new WorldNetwork(_world)));
    }

    [Fact]
    public async Task Limits_that_are_changed_are_kept()
    {
        string container = await StartedAsync(await Runtime.RunPodAsync(Pod("p")), "c", "/bin/true");
        await Runtime.UpdateContainerResourcesAsync(container, new LinuxResources { CpuQuota = 50000, CpuPeriod = 100000 });
        await Runtime.UpdateContainerResourcesAsync(container, new LinuxResources { MemoryBytes = 1 << 28 });
        Assert.Equal((50000L, 1L << 28), (Runtime.GetContainer(container).Resources.CpuQuota, Runtime.GetContainer(container).Resources.MemoryBytes));
        await FaultsAsync(PodFault.InvalidArgument, Runtime.UpdateContainerResourcesAsync(container, new LinuxResources { CpuPeriod = 1 }));
    }

    [Fact]
    public async Task Logs_are_below_the_pods_folder()
    {
        string logs = Path.Combine(_world.Config.Daemon.State, "logs");
        string pod = await Runtime.RunPodAsync(Pod("p") with { LogDirectory = logs });
        string container = await Runtime.CreateContainerAsync(pod, Container("c") with { LogPath = "sub/0.log" });
        Assert.Equal(Path.Combine(logs, "sub/0.log"), Runtime.GetContainer(container).LogPath);
        Assert.True(Directory.Exists(Path.Combine(logs, "sub")));
        await FaultsAsync(PodFault.InvalidArgument, Runtime.CreateContainerAsync(pod, Container("d") with { LogPath = "../../x.log" }));
        await FaultsAsync(PodFault.FailedPrecondition, Runtime.ReopenLogAsync(container));
    }

    [Fact]
    public async Task Images_of_containers_are_held()
    {
        string pod = await Runtime.RunPodAsync(Pod("p"));
        string container = await Runtime.CreateContainerAsync(pod, Container("c"));
        string folder = Runtime.Images.Find("test")!.Folder;
        await Runtime.Images.RemoveAsync("test");
        Assert.True(Directory.Exists(folder));
        await Runtime.DisposeAsync();
        await _world.RestartAsync();
        await Runtime.Images.RemoveAsync("test");
        Assert.True(Directory.Exists(folder));
        await Runtime.RemoveContainerAsync(container);
        await Runtime.Images.RemoveAsync("unheard-of");
        Assert.False(Directory.Exists(folder));
    }

    [Fact]
    public async Task The_manager_may_end_at_any_step_and_its_successor_finds_order()
    {
        for (int step = 1; ; step++)
        {
            await using var world = new World();
            await world.RestartAsync();
            world.CrashAt = step;
            bool finished = await LiveAsync(world);
            await world.RestartAsync();
            PodRuntime runtime = world.Runtime;
            Check(world, step);

            // Everything can be removed, and then nothing is left.
            foreach (Pod pod in runtime.ListPods())
            {
                await runtime.RemovePodAsync(pod.Id);
            }

            Nothing(world);
            // And its name is free.
            await runtime.RemovePodAsync(await runtime.RunPodAsync(Pod("p")));
            if (finished)
            {
                Assert.InRange(step, 15, 200);
                return;
            }
        }

        static async Task<bool> LiveAsync(World world)
        {
            PodRuntime runtime = world.Runtime;
            try
            {
                string pod = await runtime.RunPodAsync(Pod("p"));
                string container = await runtime.CreateContainerAsync(pod, Container("c"));
                await runtime.StartContainerAsync(container);
                await runtime.UpdateContainerResourcesAsync(container, new LinuxResources { CpuShares = 5 });
                await runtime.StopContainerAsync(container, TimeSpan.FromMinutes(1));
                await runtime.RemoveContainerAsync(container);
                await StartedAsync(runtime, pod, "d", "/stubborn");
                await runtime.StopPodAsync(pod);
                await runtime.RemovePodAsync(pod);
                return !world.Crashed;
            }
            catch (CrashException)
            {
                return false;
            }
        }

        static void Check(World world, int step)
        {
            PodRuntime runtime = world.Runtime;
            foreach (Pod pod in runtime.ListPods())
            {
                Assert.True(pod.IsReady == world.Pods.ContainsKey(pod.Id), $"step {step}: ready is not what runs");
                Assert.True(pod.NetworkReleased != world.Networks.ContainsKey(pod.Id), $"step {step}: the network is not what the record says");
            }

            Assert.True(world.Pods.Keys.All(id => runtime.ListPods(new PodFilter { Id = id }).Count == 1), $"step {step}: a pod runs that nobody knows");
            Assert.True(world.Networks.Keys.All(id => runtime.ListPods(new PodFilter { Id = id }).Count == 1), $"step {step}: a network that nobody knows");
            foreach ((string id, WorldPod pod) in world.Pods)
            {
                string[] known = [.. runtime.ListContainers(new ContainerFilter { PodId = id }).Select(container => container.Id)];
                Assert.True(pod.Containers.Keys.All(known.Contains), $"step {step}: a container that nobody knows");
                Assert.All(runtime.ListContainers(new ContainerFilter { PodId = id }), container =>
                {
                    WorldContainer? there = pod.Containers.GetValueOrDefault(container.Id);
                    Assert.True(
                        container.Phase is ContainerPhase.Exited
                        || (container.Phase == ContainerPhase.Created && there is { Started: false })
                        || (container.Phase == ContainerPhase.Running && there is { Started: true, ExitCode: null }),
                        $"step {step}: {container.Phase} is not so");
                });
            }
        }
    }

    private static PodConfig Pod(string name) => new() { Metadata = new PodMetadata { Name = name, Uid = "u", Namespace = "default" } };

    private static ContainerConfig Container(string name) => new() { Name = name, Image = "test" };

    private static async Task<string> StartedAsync(PodRuntime runtime, string pod, string name, string program)
    {
        string container = await runtime.CreateContainerAsync(pod, Container(name) with { Command = [program] });
        await runtime.StartContainerAsync(container);
        return container;
    }

    private static async Task Until(Func<bool> condition)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (!condition())
        {
            await Task.Delay(5, limit.Token);
        }
    }

    private static PodException Faults(PodFault fault, Func<object> work)
    {
        PodException e = Assert.Throws<PodException>(work);
        Assert.Equal(fault, e.Fault);
        return e;
    }

    private static async Task<PodException> FaultsAsync(PodFault fault, Task work)
    {
        PodException e = await Assert.ThrowsAsync<PodException>(() => work);
        Assert.Equal(fault, e.Fault);
        return e;
    }

    private static void Nothing(World world)
    {
        Assert.Empty(world.Pods);
        Assert.Empty(world.Networks);
        Assert.Empty(world.Runtime.ListPods());
        Assert.Empty(world.Runtime.ListContainers());
        Assert.Empty(Directory.GetFiles(Path.Combine(world.Config.Daemon.Root, "pods")));
        Assert.Empty(Directory.GetFiles(Path.Combine(world.Config.Daemon.Root, "containers")));
        string pods = Path.Combine(world.Config.Daemon.State, "bundles");
        Assert.Empty(Directory.Exists(pods) ? Directory.GetFileSystemEntries(pods) : []);
    }

    private string Folder(string pod) => Path.Combine(_world.Config.Daemon.State, "bundles", pod);

    private Task<string> StartedAsync(string pod, string name, string program) => StartedAsync(Runtime, pod, name, program);

    private void Nothing() => Nothing(_world);
}
