using Grpc.Core;
using Hearth.Cri.Protocol;

namespace Hearth.Daemon.Tests.Cri;

/// <summary>RuntimeService of a real hearthd, as far as it needs no guest: what it says of itself, and how it refuses.</summary>
public class RuntimeServiceTests(DaemonUnderTest daemon) : IClassFixture<DaemonUnderTest>
{
    private const string Unknown = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    private RuntimeService.RuntimeServiceClient Runtime => daemon.Runtime;

    [Fact]
    public async Task Version_is_v1_of_hearth()
    {
        VersionResponse version = await Runtime.VersionAsync(new VersionRequest());

        Assert.Equal(("hearth", "v1"), (version.RuntimeName, version.RuntimeApiVersion));
        Assert.NotEqual("0", version.RuntimeVersion);
    }

    [Fact]
    public async Task Status_has_both_conditions_the_handlers_and_for_people_why()
    {
        StatusResponse status = await Runtime.StatusAsync(new StatusRequest { Verbose = true });

        Assert.Equal(["RuntimeReady", "NetworkReady"], status.Status.Conditions.Select(static condition => condition.Type));
        Assert.All(status.Status.Conditions.Where(static condition => !condition.Status), static condition => Assert.NotEmpty(condition.Message));
        Assert.Contains("", status.RuntimeHandlers.Select(static handler => handler.Name));
        Assert.Contains("microvm", status.RuntimeHandlers.Select(static handler => handler.Name));
        Assert.True(status.Features.SupplementalGroupsPolicy);
        Assert.All(status.Info.Values, static json => System.Text.Json.JsonDocument.Parse(json));
        Assert.Contains("http://127.0.0.1:", status.Info["daemon"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_cgroup_driver_is_told() =>
        Assert.Equal(CgroupDriver.Cgroupfs, (await Runtime.RuntimeConfigAsync(new RuntimeConfigRequest())).Linux.CgroupDriver);

    [Fact]
    public async Task Lists_are_empty_and_streamed_lists_end()
    {
        Assert.Empty((await Runtime.ListPodSandboxAsync(new ListPodSandboxRequest { Filter = new PodSandboxFilter { Id = "x", State = new PodSandboxStateValue(), LabelSelector = { ["a"] = "b" } } })).Items);
        Assert.Empty((await Runtime.ListContainersAsync(new ListContainersRequest())).Containers);
        Assert.Empty((await Runtime.ListContainerStatsAsync(new ListContainerStatsRequest())).Stats);
        Assert.Empty((await Runtime.ListPodSandboxStatsAsync(new ListPodSandboxStatsRequest())).Stats);
        Assert.Empty((await Runtime.ListPodSandboxMetricsAsync(new ListPodSandboxMetricsRequest())).PodMetrics);
        Assert.Empty(await AllAsync(Runtime.StreamPodSandboxes(new StreamPodSandboxesRequest())));
        Assert.Empty(await AllAsync(Runtime.StreamContainers(new StreamContainersRequest())));
        Assert.Empty(await AllAsync(Runtime.StreamContainerStats(new StreamContainerStatsRequest())));
        Assert.Empty(await AllAsync(Runtime.StreamPodSandboxStats(new StreamPodSandboxStatsRequest())));
        Assert.Empty(await AllAsync(Runtime.StreamPodSandboxMetrics(new StreamPodSandboxMetricsRequest())));
    }

    [Fact]
    public async Task What_is_not_there_is_not_found()
    {
        foreach (Status status in new[]
        {
            await DaemonUnderTest.FailureAsync(Runtime.PodSandboxStatusAsync(new PodSandboxStatusRequest { PodSandboxId = Unknown })),
            await DaemonUnderTest.FailureAsync(Runtime.CreateContainerAsync(new CreateContainerRequest { PodSandboxId = Unknown, Config = Container() })),
            await DaemonUnderTest.FailureAsync(Runtime.StartContainerAsync(new StartContainerRequest { ContainerId = Unknown })),
            await DaemonUnderTest.FailureAsync(Runtime.ContainerStatusAsync(new ContainerStatusRequest { ContainerId = Unknown })),
            await DaemonUnderTest.FailureAsync(Runtime.UpdateContainerResourcesAsync(new UpdateContainerResourcesRequest { ContainerId = Unknown, Linux = new LinuxContainerResources { CpuShares = 2 } })),
            await DaemonUnderTest.FailureAsync(Runtime.ReopenContainerLogAsync(new ReopenContainerLogRequest { ContainerId = Unknown })),
            await DaemonUnderTest.FailureAsync(Runtime.ExecSyncAsync(new ExecSyncRequest { ContainerId = Unknown, Cmd = { "true" } })),
            await DaemonUnderTest.FailureAsync(Runtime.ExecAsync(new ExecRequest { ContainerId = Unknown, Cmd = { "true" }, Stdout = true })),
            await DaemonUnderTest.FailureAsync(Runtime.AttachAsync(new AttachRequest { ContainerId = Unknown, Stdout = true })),
            await DaemonUnderTest.FailureAsync(Runtime.PortForwardAsync(new PortForwardRequest { PodSandboxId = Unknown })),
            await DaemonUnderTest.FailureAsync(Runtime.ContainerStatsAsync(new ContainerStatsRequest { ContainerId = Unknown })),
            await DaemonUnderTest.FailureAsync(Runtime.PodSandboxStatsAsync(new PodSandboxStatsRequest { PodSandboxId = Unknown })),
            await DaemonUnderTest.FailureAsync(Runtime.CheckpointContainerAsync(new CheckpointContainerRequest { ContainerId = Unknown, Location = "/tmp/x" })),
            await DaemonUnderTest.FailureAsync(Runtime.UpdatePodSandboxResourcesAsync(new UpdatePodSandboxResourcesRequest { PodSandboxId = Unknown, Resources = new LinuxContainerResources { CpuShares = 2 } })),
        })
        {
            Assert.Equal(StatusCode.NotFound, status.StatusCode);
            Assert.Contains(Unknown[..12], status.Detail, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Stopping_and_removing_what_is_not_there_is_no_error()
    {
        await Runtime.StopPodSandboxAsync(new StopPodSandboxRequest { PodSandboxId = Unknown });
        await Runtime.RemovePodSandboxAsync(new RemovePodSandboxRequest { PodSandboxId = Unknown });
        await Runtime.StopContainerAsync(new StopContainerRequest { ContainerId = Unknown, Timeout = 1 });
        await Runtime.RemoveContainerAsync(new RemoveContainerRequest { ContainerId = Unknown });
    }

    [Fact]
    public async Task What_makes_no_sense_is_an_invalid_argument()
    {
        foreach (Status status in new[]
        {
            await DaemonUnderTest.FailureAsync(Runtime.RunPodSandboxAsync(new RunPodSandboxRequest())),
            await DaemonUnderTest.FailureAsync(Runtime.RunPodSandboxAsync(new RunPodSandboxRequest { Config = new PodSandboxConfig { Metadata = new PodSandboxMetadata() } })),
            await DaemonUnderTest.FailureAsync(Runtime.StopPodSandboxAsync(new StopPodSandboxRequest())),
            await DaemonUnderTest.FailureAsync(Runtime.RemoveContainerAsync(new RemoveContainerRequest())),
            await DaemonUnderTest.FailureAsync(Runtime.CreateContainerAsync(new CreateContainerRequest { PodSandboxId = Unknown, Config = new ContainerConfig() })),
            await DaemonUnderTest.FailureAsync(Runtime.ExecSyncAsync(new ExecSyncRequest { ContainerId = Unknown })),
            await DaemonUnderTest.FailureAsync(Runtime.ExecSyncAsync(new ExecSyncRequest { ContainerId = Unknown, Cmd = { "true" }, Timeout = -1 })),
            await DaemonUnderTest.FailureAsync(Runtime.ExecAsync(new ExecRequest { ContainerId = Unknown, Cmd = { "true" } })),
            await DaemonUnderTest.FailureAsync(Runtime.AttachAsync(new AttachRequest { ContainerId = Unknown, Tty = true, Stdout = true, Stderr = true })),
            await DaemonUnderTest.FailureAsync(Runtime.PortForwardAsync(new PortForwardRequest { PodSandboxId = Unknown, Port = { 70000 } })),
        })
        {
            Assert.Equal(StatusCode.InvalidArgument, status.StatusCode);
        }
    }

    [Fact]
    public async Task A_handler_that_there_is_not_is_named()
    {
        Status status = await DaemonUnderTest.FailureAsync(Runtime.RunPodSandboxAsync(new RunPodSandboxRequest
        {
            Config = new PodSandboxConfig { Metadata = new PodSandboxMetadata { Name = "p", Uid = "u", Namespace = "n" } },
            RuntimeHandler = "gvisor",
        }));

        Assert.Equal(StatusCode.NotFound, status.StatusCode);
        Assert.Contains("gvisor", status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Events_are_held_open_until_the_client_leaves()
    {
        using var leave = new CancellationTokenSource();
        using AsyncServerStreamingCall<ContainerEventResponse> events = Runtime.GetContainerEvents(new GetEventsRequest(), cancellationToken: leave.Token);
        Task<bool> first = events.ResponseStream.MoveNext(default);

        await Runtime.VersionAsync(new VersionRequest());
        Assert.False(first.IsCompleted);
        await leave.CancelAsync();

        RpcException end = await Assert.ThrowsAsync<RpcException>(() => first.WaitAsync(DaemonUnderTest.Deadline));
        Assert.Equal(StatusCode.Cancelled, end.StatusCode);
    }

    [Fact]
    public async Task Every_metric_has_a_text_and_labels()
    {
        var descriptors = (await Runtime.ListMetricDescriptorsAsync(new ListMetricDescriptorsRequest())).Descriptors;

        Assert.Contains(descriptors, static metric => metric.Name == "container_cpu_usage_seconds_total");
        Assert.All(descriptors, static metric => Assert.True(metric.Help.Length > 0 && metric.LabelKeys.Count > 0, metric.Name));
        Assert.Equal(descriptors.Count, descriptors.Select(static metric => metric.Name).Distinct().Count());
    }

    [Fact]
    public async Task A_pod_range_is_taken() =>
        await Runtime.UpdateRuntimeConfigAsync(new UpdateRuntimeConfigRequest { RuntimeConfig = new RuntimeConfig { NetworkConfig = new NetworkConfig { PodCidr = "10.1.2.0/24" } } });

    private static ContainerConfig Container() => new() { Metadata = new ContainerMetadata { Name = "c" }, Image = new ImageSpec { Image = "x" } };

    private static async Task<List<T>> AllAsync<T>(AsyncServerStreamingCall<T> call)
    {
        using (call)
        {
            var all = new List<T>();
            while (await call.ResponseStream.MoveNext(default).WaitAsync(DaemonUnderTest.Deadline))
            {
                all.Add(call.ResponseStream.Current);
            }

            return all;
        }
    }
}
