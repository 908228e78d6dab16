using Grpc.Core;
using Hearth.Cri.Protocol;

namespace Hearth.Lab.Tests.Pods;

/// <summary>The calls that tell and change: status, lists, statistics, events, images, limits.</summary>
public sealed class PodCallTests(PodLab lab) : PodTestBase(lab)
{
    [Fact]
    public async Task The_runtime_says_what_it_is_and_that_it_is_ready()
    {
        VersionResponse version = await Client.Runtime.VersionAsync(new VersionRequest());
        Assert.Equal(("0.1.0", "hearth", "v1"), (version.Version, version.RuntimeName, version.RuntimeApiVersion));
        Assert.NotEmpty(version.RuntimeVersion);
        StatusResponse status = await Client.Runtime.StatusAsync(new StatusRequest { Verbose = true }, deadline: CriClient.Deadline);
        Assert.All(status.Status.Conditions, static condition => Assert.True(condition.Status, condition.ToString()));
        Assert.Equal(["NetworkReady", "RuntimeReady"], status.Status.Conditions.Select(static condition => condition.Type).Where(static type => type.EndsWith("Ready", StringComparison.Ordinal)).Order());
        Assert.NotEmpty(status.Info);
        Assert.Superset(new HashSet<string> { "microvm", "oci" }, status.RuntimeHandlers.Select(static handler => handler.Name).ToHashSet());
        Assert.NotNull((await Client.Runtime.RuntimeConfigAsync(new RuntimeConfigRequest())).Linux);
        await Client.Runtime.UpdateRuntimeConfigAsync(new UpdateRuntimeConfigRequest { RuntimeConfig = new RuntimeConfig { NetworkConfig = new NetworkConfig { PodCidr = "10.77.0.0/24" } } });
    }

    [Fact]
    public async Task Images_are_told_streamed_and_removed()
    {
        string id = await Client.PullAsync(Lab.App);
        Image app = (await Client.Images.ImageStatusAsync(new ImageStatusRequest { Image = new ImageSpec { Image = Lab.App }, Verbose = true })).Image;
        Assert.Equal((id, "app", (Int64Value?)null), (app.Id, app.Username, app.Uid));
        Assert.Equal([Lab.App], app.RepoTags);
        string digest = Assert.Single(app.RepoDigests);
        Assert.True(app.Size > 100_000);
        Assert.Equal(app, (await Client.Images.ImageStatusAsync(new ImageStatusRequest { Image = new ImageSpec { Image = digest } })).Image);
        Assert.Equal(app, (await Client.Images.ImageStatusAsync(new ImageStatusRequest { Image = new ImageSpec { Image = id } })).Image);
        Assert.Contains(app, (await Client.Images.ListImagesAsync(new ListImagesRequest())).Images);
        Assert.Equal([app], (await Client.Images.ListImagesAsync(new ListImagesRequest { Filter = new ImageFilter { Image = new ImageSpec { Image = Lab.App } } })).Images);
        Assert.Contains(app, (await AllAsync(Client.Images.StreamImages(new StreamImagesRequest()))).SelectMany(static part => part.Images));
        ImageFsInfoResponse filesystems = await Client.Images.ImageFsInfoAsync(new ImageFsInfoRequest());
        FilesystemUsage usage = Assert.Single(filesystems.ImageFilesystems);
        Assert.True(usage.UsedBytes.Value > 0 && usage.InodesUsed.Value > 0 && Directory.Exists(usage.FsId.Mountpoint), usage.ToString());

        await Client.Images.RemoveImageAsync(new RemoveImageRequest { Image = new ImageSpec { Image = Lab.App } });
        await Client.Images.RemoveImageAsync(new RemoveImageRequest { Image = new ImageSpec { Image = Lab.App } });
        Assert.Null((await Client.Images.ImageStatusAsync(new ImageStatusRequest { Image = new ImageSpec { Image = Lab.App } })).Image);
        Assert.Null((await Client.Images.ImageStatusAsync(new ImageStatusRequest { Image = new ImageSpec { Image = id } })).Image);
    }

    [Fact]
    public async Task Lists_statistics_and_events_agree()
    {
        using AsyncServerStreamingCall<ContainerEventResponse> events = Client.Runtime.GetContainerEvents(new GetEventsRequest());
        var seen = new List<ContainerEventResponse>();
        Task reading = Task.Run(async () =>
        {
            await foreach (ContainerEventResponse happened in events.ResponseStream.ReadAllAsync())
            {
                lock (seen)
                {
                    seen.Add(happened);
                }
            }
        });
        (string pod, string container, _) = await RunIdlePodAsync("tell");
        await Client.OutputAsync(container, "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; head -c 100000 /dev/zero >/file; sync");

        PodSandboxStatus status = await Client.PodStatusAsync(pod);
        PodSandbox listed = Assert.Single((await Client.Runtime.ListPodSandboxAsync(new ListPodSandboxRequest { Filter = new PodSandboxFilter { Id = pod } })).Items);
        Assert.Equal((status.Metadata, status.CreatedAt, status.State), (listed.Metadata, listed.CreatedAt, listed.State));
        Assert.Equal([pod], (await AllAsync(Client.Runtime.StreamPodSandboxes(new StreamPodSandboxesRequest()))).SelectMany(static part => part.PodSandboxes).Select(static each => each.Id));
        Assert.Equal([container], (await AllAsync(Client.Runtime.StreamContainers(new StreamContainersRequest()))).SelectMany(static part => part.Containers).Select(static each => each.Id));
        Assert.NotEmpty((await Client.Runtime.PodSandboxStatusAsync(new PodSandboxStatusRequest { PodSandboxId = pod, Verbose = true })).Info);
        Assert.NotEmpty((await Client.Runtime.ContainerStatusAsync(new ContainerStatusRequest { ContainerId = container, Verbose = true })).Info);

        ContainerStats stats = (await Client.Runtime.ContainerStatsAsync(new ContainerStatsRequest { ContainerId = container })).Stats;
        Assert.Equal((container, "main"), (stats.Attributes.Id, stats.Attributes.Metadata.Name));
        Assert.True(stats.Cpu.UsageCoreNanoSeconds.Value > 0 && stats.Memory.WorkingSetBytes.Value > 0 && stats.Cpu.Timestamp > 0, stats.ToString());
        Assert.True(stats.WritableLayer.UsedBytes.Value >= 100_000, stats.WritableLayer.ToString());
        Assert.Equal([container], (await Client.Runtime.ListContainerStatsAsync(new ListContainerStatsRequest { Filter = new ContainerStatsFilter { PodSandboxId = pod } })).Stats.Select(static each => each.Attributes.Id));
        Assert.Equal([container], (await AllAsync(Client.Runtime.StreamContainerStats(new StreamContainerStatsRequest()))).SelectMany(static part => part.ContainerStats).Select(static each => each.Attributes.Id));
        PodSandboxStats podStats = (await Client.Runtime.PodSandboxStatsAsync(new PodSandboxStatsRequest { PodSandboxId = pod })).Stats;
        Assert.True(podStats.Linux.Cpu.UsageCoreNanoSeconds.Value > 0 && podStats.Linux.Memory.WorkingSetBytes.Value > 0, podStats.ToString());
        Assert.Equal("eth0", podStats.Linux.Network.DefaultInterface.Name);
        Assert.Equal(container, Assert.Single(podStats.Linux.Containers).Attributes.Id);
        Assert.Equal([pod], (await Client.Runtime.ListPodSandboxStatsAsync(new ListPodSandboxStatsRequest())).Stats.Select(static each => each.Attributes.Id));
        Assert.Equal([pod], (await AllAsync(Client.Runtime.StreamPodSandboxStats(new StreamPodSandboxStatsRequest()))).SelectMany(static part => part.PodSandboxStats).Select(static each => each.Attributes.Id));

        HashSet<string> described = (await Client.Runtime.ListMetricDescriptorsAsync(new ListMetricDescriptorsRequest())).Descriptors.Select(static each => each.Name).ToHashSet();
        PodSandboxMetrics metrics = Assert.Single((await Client.Runtime.ListPodSandboxMetricsAsync(new ListPodSandboxMetricsRequest())).PodMetrics);
        Assert.NotEmpty(metrics.Metrics.Concat(metrics.ContainerMetrics.SelectMany(static each => each.Metrics)));
        Assert.All(metrics.Metrics.Concat(metrics.ContainerMetrics.SelectMany(static each => each.Metrics)), metric => Assert.Contains(metric.Name, described));
        Assert.Equal([pod], (await AllAsync(Client.Runtime.StreamPodSandboxMetrics(new StreamPodSandboxMetricsRequest()))).SelectMany(static part => part.PodSandboxMetrics).Select(static each => each.PodSandboxId));

        await Client.StopAsync(container, 5);
        await Client.RemoveAsync(container);
        ContainerEventType[] expected = [ContainerEventType.ContainerCreatedEvent, ContainerEventType.ContainerStartedEvent, ContainerEventType.ContainerStoppedEvent, ContainerEventType.ContainerDeletedEvent];
        await UntilAsync(
            () =>
            {
                lock (seen)
                {
                    return seen.Where(each => each.ContainerId == container).Select(static each => each.ContainerEventType).SequenceEqual(expected);
                }
            },
            "the container's four events");
        events.Dispose();
        await Assert.ThrowsAnyAsync<Exception>(() => reading);
    }

    [Fact]
    public async Task Limits_change_under_a_running_container()
    {
        (string pod, string container, _) = await RunIdlePodAsync("limits", static config =>
            config.Linux.Resources = new LinuxContainerResources { MemoryLimitInBytes = 64 << 20, CpuPeriod = 100_000, CpuQuota = 50_000, CpuShares = 512 });
        Assert.Equal("67108864\n50000 100000\n", await Client.OutputAsync(container, "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max"));
        var changed = new LinuxContainerResources { MemoryLimitInBytes = 48 << 20, CpuPeriod = 100_000, CpuQuota = 25_000 };
        await Client.Runtime.UpdateContainerResourcesAsync(new UpdateContainerResourcesRequest { ContainerId = container, Linux = changed }, deadline: CriClient.Deadline);
        Assert.Equal("50331648\n25000 100000\n", await Client.OutputAsync(container, "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max"));
        Assert.Equal(48 << 20, (await Client.StatusAsync(container)).Resources.Linux.MemoryLimitInBytes);
        await Client.Runtime.UpdatePodSandboxResourcesAsync(new UpdatePodSandboxResourcesRequest { PodSandboxId = pod, Resources = new LinuxContainerResources { CpuPeriod = 100_000, CpuQuota = 40_000 } }, deadline: CriClient.Deadline);

        string checkpoint = Path.Combine(Lab.Folder, "checkpoint.tar");
        RpcException refused = await CriClient.FailsAsync(async () => await Client.Runtime.CheckpointContainerAsync(new CheckpointContainerRequest { ContainerId = container, Location = checkpoint }, deadline: CriClient.Deadline), StatusCode.Unimplemented);
        Assert.NotEmpty(refused.Status.Detail);
        Assert.False(File.Exists(checkpoint));
    }

    [Fact]
    public async Task ExecSync_gives_output_errors_code_and_keeps_to_its_time()
    {
        (_, string container, _) = await RunIdlePodAsync("exec");
        Assert.Equal(("out\n", "err\n", 3), await Client.ExecAsync(container, "echo out; echo err >&2; exit 3"));
        Assert.Equal(16_000_000, (await Client.ExecAsync(container, "head -c 20000000 /dev/zero | tr '\\0' x | head -c 16000000")).Stdout.Length);
        await CriClient.FailsAsync(() => Client.ExecAsync(container, "sleep 1000", timeoutSeconds: 1), StatusCode.DeadlineExceeded);
        await UntilAsync(async () => !(await Client.OutputAsync(container, "ps")).Contains("sleep 1000\n", StringComparison.Ordinal), "the end of what took too long");
        ExecSyncResponse missing = await Client.Runtime.ExecSyncAsync(new ExecSyncRequest { ContainerId = container, Cmd = { "/no/such/program" } }, deadline: CriClient.Deadline);
        Assert.Equal(127, missing.ExitCode);
        Assert.Contains("/no/such/program", missing.Stderr.ToStringUtf8(), StringComparison.Ordinal);
        string[] answers = await Task.WhenAll(Enumerable.Range(0, 16).Select(i => Client.OutputAsync(container, $"echo {i}")));
        Assert.Equal(Enumerable.Range(0, 16).Select(static i => $"{i}\n"), answers);
    }
}
