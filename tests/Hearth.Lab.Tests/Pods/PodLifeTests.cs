using System.Globalization;
using System.Text.RegularExpressions;
using Grpc.Core;
using Hearth.Cri.Protocol;

namespace Hearth.Lab.Tests.Pods;

/// <summary>The life of pods and containers by CRI's calls over the real socket.</summary>
public sealed partial class PodLifeTests(PodLab lab) : PodTestBase(lab)
{
    [Fact]
    public async Task Demo_two_plays_by_CRI_calls_and_leaves_nothing()
    {
        string image = await Client.PullAsync(Lab.Web);
        PodSandboxConfig config = Lab.Pod("demo");
        config.PortMappings.Add(new PortMapping { ContainerPort = 80, HostPort = PodLab.FreePort() });
        config.DnsConfig = new DNSConfig { Servers = { "10.9.9.9" }, Searches = { "example.test" }, Options = { "ndots:3" } };
        // As a kubelet does: what the pod takes on this host is counted there.
        config.Linux.CgroupParent = "/hearth-tests/pod-1";
        DirectoryInfo cgroup = Directory.CreateDirectory($"/sys/fs/cgroup{config.Linux.CgroupParent}");
        string pod = await RunPodAsync(config);
        PodSandboxStatus status = await Client.PodStatusAsync(pod);
        Assert.Equal(PodSandboxState.SandboxReady, status.State);
        int monitor = Assert.Single(Managers.ManagerLab.ProcessesWith("--id", pod));
        Assert.Contains($"{config.Linux.CgroupParent}/{pod}/", await File.ReadAllTextAsync($"/proc/{monitor}/cgroup"), StringComparison.Ordinal);
        Assert.InRange(long.Parse(await File.ReadAllTextAsync($"{cgroup.FullName}/memory.current"), CultureInfo.InvariantCulture), 16L << 20, 1L << 30);
        Assert.StartsWith("10.77.0.", status.Network.Ip, StringComparison.Ordinal);

        string container = await Client.CreateAsync(pod, config, new ContainerConfig
        {
            Metadata = new ContainerMetadata { Name = "web", Attempt = 2 },
            Image = new ImageSpec { Image = image },
            LogPath = "web/2.log",
            Labels = { ["tier"] = "front" },
            Annotations = { ["note"] = "kept" },
            Linux = new LinuxContainerConfig(),
        });
        Assert.Equal(ContainerState.ContainerCreated, (await Client.StatusAsync(container)).State);
        await Client.StartAsync(container);
        ContainerStatus running = await Client.AwaitStateAsync(container, ContainerState.ContainerRunning);
        Assert.Equal(("web", 2u, "front", "kept"), (running.Metadata.Name, running.Metadata.Attempt, running.Labels["tier"], running.Annotations["note"]));
        Assert.Equal(image, running.ImageId);

        using var http = new HttpClient { Timeout = TimeSpan.FromSeconds(20) };
        string page = "";
        await UntilAsync(
            async () =>
            {
                try
                {
                    page = await http.GetStringAsync(new Uri($"http://{status.Network.Ip}/"));
                    return true;
                }
                catch (Exception e) when (e is HttpRequestException or TaskCanceledException)
                {
                    return false;
                }
            },
            "the pod's page");
        Assert.Equal("hearth\n", page);
        Assert.Equal("hearth\n", await http.GetStringAsync(new Uri($"http://{status.Network.Ip}:80/index.html")));

        Assert.Equal("demo\n", await Client.OutputAsync(container, "hostname"));
        Assert.Equal(["nameserver 10.9.9.9", "options ndots:3", "search example.test"], (await Client.OutputAsync(container, "cat /etc/resolv.conf")).Split('\n', StringSplitOptions.RemoveEmptyEntries).Order());
        Assert.Contains(status.Network.Ip, await Client.OutputAsync(container, "ip -4 addr"), StringComparison.Ordinal);
        Assert.NotEqual(File.ReadAllText("/proc/sys/kernel/osrelease"), await Client.OutputAsync(container, "cat /proc/sys/kernel/osrelease"));

        string log = Path.Combine(config.LogDirectory, "web/2.log");
        Assert.Equal(log, running.LogPath);
        await UntilAsync(() => File.Exists(log) && File.ReadAllText(log).Contains("response:200", StringComparison.Ordinal), "a request in the log");
        Assert.All(File.ReadAllLines(log), static line => Assert.Matches(LogLine(), line));

        await Client.StopAsync(container, 5);
        Assert.Equal(ContainerState.ContainerExited, (await Client.StatusAsync(container)).State);
        await Client.RemoveAsync(container);
        Assert.Empty((await Client.Runtime.ListContainersAsync(new ListContainersRequest { Filter = new ContainerFilter { PodSandboxId = pod } })).Containers);
        await Client.Runtime.StopPodSandboxAsync(new StopPodSandboxRequest { PodSandboxId = pod });
        Assert.Equal(PodSandboxState.SandboxNotready, (await Client.PodStatusAsync(pod)).State);
        await Client.Runtime.RemovePodSandboxAsync(new RemovePodSandboxRequest { PodSandboxId = pod });
        Assert.Empty((await Client.Runtime.ListPodSandboxAsync(new ListPodSandboxRequest())).Items);
        // Nothing is in them any more.
        cgroup.Delete();
        cgroup.Parent!.Delete();
    }

    [Fact]
    public async Task Ends_are_told_as_they_were()
    {
        PodSandboxConfig config = Lab.Pod("ends");
        string pod = await RunPodAsync(config);

        string failed = await Client.RunContainerAsync(pod, config, Lab.Shell("failed", "echo out; echo err >&2; exit 7"));
        ContainerStatus status = await Client.AwaitStateAsync(failed, ContainerState.ContainerExited);
        Assert.Equal((7, "Error"), (status.ExitCode, status.Reason));
        Assert.True(status.CreatedAt <= status.StartedAt && status.StartedAt <= status.FinishedAt, status.ToString());
        string[] lines = LogLines(status.LogPath);
        Assert.Equal(["stderr F err", "stdout F out"], lines.Order());

        string done = await Client.RunContainerAsync(pod, config, Lab.Shell("done", "printf 'no newline'"));
        status = await Client.AwaitStateAsync(done, ContainerState.ContainerExited);
        Assert.Equal((0, "Completed"), (status.ExitCode, status.Reason));
        Assert.Equal(["stdout P no newline"], LogLines(status.LogPath).Select(static line => line.Replace(" F ", " P ", StringComparison.Ordinal)));

        ContainerConfig hungry = Lab.Shell("hungry", "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done");
        hungry.Linux.Resources = new LinuxContainerResources { MemoryLimitInBytes = 32 << 20 };
        string killed = await Client.RunContainerAsync(pod, config, hungry);
        status = await Client.AwaitStateAsync(killed, ContainerState.ContainerExited);
        Assert.Equal((137, "OOMKilled"), (status.ExitCode, status.Reason));

        // A container that ignores the polite signal is killed when its time is over; its own signal is tried first.
        ContainerConfig stubborn = Lab.Shell("stubborn", "trap '' TERM; trap 'echo usr1' USR1; while :; do sleep 0.1; done");
        stubborn.StopSignal = Signal.Sigusr1;
        string stopped = await Client.RunContainerAsync(pod, config, stubborn);
        const ulong terminate = 1ul << (15 - 1);
        string ignored = "";
        await UntilAsync(
            async () => (Convert.ToUInt64(ignored = (await Client.OutputAsync(stopped, "sed -n 's/SigIgn:.//p' /proc/1/status")).Trim(), 16) & terminate) != 0,
            () => $"the trap: {ignored} is ignored");
        await Client.StopAsync(stopped, 5);
        status = await Client.StatusAsync(stopped);
        Assert.Equal((ContainerState.ContainerExited, 137), (status.State, status.ExitCode));
        Assert.Contains("stdout F usr1", LogLines(status.LogPath));
    }

    [Fact]
    public async Task A_flood_and_a_line_of_ten_megabytes_reach_the_log_whole()
    {
        PodSandboxConfig config = Lab.Pod("flood");
        string pod = await RunPodAsync(config);
        string flood = await Client.RunContainerAsync(pod, config, Lab.Shell("flood", "seq 1 200000"));
        string line = await Client.RunContainerAsync(pod, config, Lab.Shell("line", "head -c 10485760 /dev/zero | tr '\\0' x; echo"));
        ContainerStatus floodStatus = await Client.AwaitStateAsync(flood, ContainerState.ContainerExited);
        string[] lines = LogLines(floodStatus.LogPath);
        Assert.Equal(200_000, lines.Length);
        Assert.Equal("stdout F 200000", lines[^1]);

        ContainerStatus lineStatus = await Client.AwaitStateAsync(line, ContainerState.ContainerExited);
        lines = LogLines(lineStatus.LogPath);
        Assert.Equal(10_485_760, lines.Sum(static part => (long)part.Length - "stdout P ".Length));
        Assert.All(lines[..^1], static part => Assert.StartsWith("stdout P x", part, StringComparison.Ordinal));
        Assert.StartsWith("stdout F", lines[^1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_rotated_log_goes_on_in_a_new_file()
    {
        (_, string container, _) = await RunIdlePodAsync("rotate", change: config =>
        {
            config.Command.Clear();
            config.Command.Add(["sh", "-c", "i=0; while :; do echo $i; i=$((i+1)); sleep 0.2; done"]);
        });
        string path = (await Client.StatusAsync(container)).LogPath;
        await UntilAsync(() => LogLines(path).Length > 2, "lines");
        File.Move(path, path + ".1");
        await Client.Runtime.ReopenContainerLogAsync(new ReopenContainerLogRequest { ContainerId = container }, deadline: CriClient.Deadline);
        await UntilAsync(() => LogLines(path).Length > 2, "lines in the new file");
        string[] all = [.. LogLines(path + ".1"), .. LogLines(path)];
        Assert.Equal(Enumerable.Range(0, all.Length).Select(static i => $"stdout F {i}"), all);
    }

    [Fact]
    public async Task Containers_of_a_pod_share_what_they_asked_to()
    {
        PodSandboxConfig config = Lab.Pod("shared");
        config.Linux.SecurityContext = new LinuxSandboxSecurityContext { NamespaceOptions = new NamespaceOption { Pid = NamespaceMode.Container } };
        config.Linux.Sysctls["net.ipv4.ip_unprivileged_port_start"] = "7";
        string pod = await RunPodAsync(config);
        string one = await Client.RunContainerAsync(pod, config, Lab.Shell("one", "echo hello >/www/index.html; httpd -p 127.0.0.1:7000 -h /www; sleep 100000"));
        string two = await Client.RunContainerAsync(pod, config, Lab.Idle("two"));
        string greeting = "";
        await UntilAsync(async () => (greeting = (await Client.ExecAsync(two, "wget -qO- http://127.0.0.1:7000/")).Stdout).Length > 0, "the neighbour's port");
        Assert.Equal("hello\n", greeting);
        Assert.Equal("7\n", await Client.OutputAsync(two, "cat /proc/sys/net/ipv4/ip_unprivileged_port_start"));
        Assert.Equal(await Client.OutputAsync(one, "readlink /proc/self/ns/ipc; readlink /proc/self/ns/net"), await Client.OutputAsync(two, "readlink /proc/self/ns/ipc; readlink /proc/self/ns/net"));
        Assert.NotEqual(await Client.OutputAsync(one, "readlink /proc/self/ns/pid"), await Client.OutputAsync(two, "readlink /proc/self/ns/pid"));
        await Client.OutputAsync(one, "echo seen >/dev/shm/file");
        Assert.Equal("seen\n", await Client.OutputAsync(two, "cat /dev/shm/file"));

        ContainerConfig debugger = Lab.Idle("debugger");
        debugger.Linux.SecurityContext = new LinuxContainerSecurityContext { NamespaceOptions = new NamespaceOption { Pid = NamespaceMode.Target, TargetId = one } };
        string third = await Client.RunContainerAsync(pod, config, debugger);
        Assert.Equal(await Client.OutputAsync(one, "readlink /proc/self/ns/pid"), await Client.OutputAsync(third, "readlink /proc/self/ns/pid"));
    }

    [Fact]
    public async Task A_container_is_who_and_where_it_was_told()
    {
        await Client.PullAsync(Lab.App);
        PodSandboxConfig config = Lab.Pod("who");
        string pod = await RunPodAsync(config);
        ContainerConfig app = Lab.Idle("app");
        app.Image.Image = Lab.App;
        app.Envs.Add(new KeyValue { Key = "COLOUR", Value = Google.Protobuf.ByteString.CopyFromUtf8("red") });
        app.Linux.SecurityContext = new LinuxContainerSecurityContext { ReadonlyRootfs = true, NoNewPrivs = true, Capabilities = new Capability { DropCapabilities = { "ALL" } } };
        string container = await Client.RunContainerAsync(pod, config, app);
        Assert.Equal("1000 1000 50000\n", await Client.OutputAsync(container, "echo $(id -u) $(id -G)"));
        Assert.Equal("/home/app red\n", await Client.OutputAsync(container, "echo $PWD $COLOUR"));
        Assert.NotEqual(0, (await Client.ExecAsync(container, "touch file")).ExitCode);
        Assert.Matches("CapBnd:\\s+0000000000000000\nNoNewPrivs:\\s+1\n", await Client.OutputAsync(container, "grep -E 'CapBnd|NoNewPrivs' /proc/self/status"));
        ContainerStatus status = await Client.StatusAsync(container);
        Assert.Equal((1000L, 1000L), (status.User.Linux.Uid, status.User.Linux.Gid));

        ContainerConfig other = Lab.Idle("other");
        other.Linux.SecurityContext = new LinuxContainerSecurityContext { RunAsUser = new Int64Value { Value = 33 }, RunAsGroup = new Int64Value { Value = 44 }, SupplementalGroups = { 55, 66 } };
        other.WorkingDir = "/made/for/it";
        string second = await Client.RunContainerAsync(pod, config, other);
        Assert.Equal("33 44 55 66 /made/for/it\n", await Client.OutputAsync(second, "echo $(id -u) $(id -G) $PWD"));
    }

    [Fact]
    public async Task Removing_twice_is_no_error_and_what_is_not_there_is_NotFound()
    {
        (string pod, string container, PodSandboxConfig config) = await RunIdlePodAsync("twice");
        RpcException error = await CriClient.FailsAsync(() => Client.RunPodAsync(config), StatusCode.AlreadyExists, StatusCode.Unknown, StatusCode.FailedPrecondition);
        Assert.Contains(config.Metadata.Name, error.Status.Detail, StringComparison.Ordinal);
        Assert.Single((await Client.Runtime.ListPodSandboxAsync(new ListPodSandboxRequest { Filter = new PodSandboxFilter { LabelSelector = { ["test"] = "twice" } } })).Items);
        Assert.Empty((await Client.Runtime.ListContainersAsync(new ListContainersRequest { Filter = new ContainerFilter { LabelSelector = { ["test"] = "none" } } })).Containers);
        Assert.Single((await Client.Runtime.ListContainersAsync(new ListContainersRequest { Filter = new ContainerFilter { Id = container[..8], State = new ContainerStateValue { State = ContainerState.ContainerRunning } } })).Containers);

        await Client.StopAsync(container, 5);
        await Client.StopAsync(container, 5);
        await CriClient.FailsAsync(() => Client.StartAsync(container), StatusCode.FailedPrecondition, StatusCode.Unknown);
        await CriClient.FailsAsync(() => Client.ExecAsync(container, "true"), StatusCode.FailedPrecondition, StatusCode.NotFound, StatusCode.Unknown);
        await Client.RemoveAsync(container);
        await Client.RemoveAsync(container);
        await CriClient.FailsAsync(() => Client.StatusAsync(container), StatusCode.NotFound);
        await CriClient.FailsAsync(() => Client.StartAsync(container), StatusCode.NotFound);
        await Client.RemovePodAsync(pod);
        await Client.RemovePodAsync(pod);
        await CriClient.FailsAsync(() => Client.PodStatusAsync(pod), StatusCode.NotFound);
        await CriClient.FailsAsync(() => Client.CreateAsync(pod, config, Lab.Idle("late")), StatusCode.NotFound);
    }

    [GeneratedRegex(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}(Z|[+-]\d\d:\d\d) (stdout|stderr) [FP] ")]
    private static partial Regex LogLine();
}
