using System.Net.Sockets;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Hearth.Oci.Runtime;
using Hearth.Shim.Protocol;
using Hearth.Shim.Protocol.Sandboxes;
using Hearth.Shim.Protocol.Tasks;
using Hearth.Ttrpc;

namespace Hearth.Shim.Tests;

/// <summary>
/// containerd's calls to a shim that is a pod itself, in their order (containerd 2.1: plugins/sandbox/controller.go, core/runtime/v2/shim_load.go,
/// internal/cri/server). How it starts the shim is in <see cref="BootstrapTests"/>.
/// </summary>
public sealed class SandboxTests
{
    [Fact]
    public async Task A_pod_lives_and_ends_by_containerds_calls_to_its_sandbox()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("p");
        await using TtrpcClient sandboxes = await ConnectAsync(shim);
        PodSandboxConfig config = Config();
        await CreateAsync(sandboxes, Request(shim, config));
        Assert.Equal("SANDBOX_NOTREADY", (await StatusAsync(sandboxes)).State);
        StartSandboxResponse started = await CallAsync(sandboxes, "StartSandbox", new StartSandboxRequest { SandboxId = "p" }, StartSandboxResponse.Parser);
        Assert.Equal((uint)shim.Machine!.MonitorPid, started.Pid);
        Assert.Equal(("host", 3, 300, "pods/p"), (shim.Machine.Options.Hostname, shim.Machine.Options.Vcpus, shim.Machine.Options.MemoryMib, shim.Machine.Options.Cgroup?.Path));
        Assert.Equal("1", shim.Machine.Options.Sysctls["net.ipv4.ip_forward"]);
        Task<WaitSandboxResponse> ended = CallAsync(sandboxes, "WaitSandbox", new WaitSandboxRequest { SandboxId = "p" }, WaitSandboxResponse.Parser);
        SandboxStatusResponse status = await StatusAsync(sandboxes, verbose: true);
        Assert.Equal(("SANDBOX_READY", started.Pid, started.CreatedAt, "3"), (status.State, status.Pid, status.CreatedAt, status.Info["vcpus"]));

        // CreateContainer asks what to make a specification for; the container then joins by the task service.
        Protocol.Sandboxes.Platform platform = (await CallAsync(sandboxes, "Platform", new PlatformRequest { SandboxId = "p" }, PlatformResponse.Parser)).Platform;
        Assert.Equal("linux", platform.Os);
        Assert.Contains(platform.Architecture, (string[])["amd64", "arm64"]);
        string log = Path.Combine(shim.Folder, "c.log");
        RuntimeSpec member = ShimUnderTest.Member("p", "cat /etc/resolv.conf /etc/hostname; grep -c localhost /etc/hosts; sleep 1000");
        await shim.StartAsync("c", member, request => request.Stdout = $"file://{log}");
        await ShimUnderTest.EventuallyAsync(() => File.Exists(log) && File.ReadAllText(log) == "search a.b\nnameserver 10.0.0.1\noptions ndots:5\nhost\n2\n", "the pod's files are not there");
        SandboxMetricsResponse metrics = await CallAsync(sandboxes, "SandboxMetrics", new SandboxMetricsRequest { SandboxId = "p" }, SandboxMetricsResponse.Parser);
        Assert.Equal("p", metrics.Metrics.Id);
        Assert.NotEmpty(metrics.Metrics.Data.Value);

        // containerd restarted: it looks whether the shim is one, then what the pod is.
        await using TtrpcClient again = await ConnectAsync(shim);
        Assert.NotEqual(0u, (await shim.Client.ConnectTaskAsync("p")).ShimPid);
        Assert.Single((await shim.Client.PidsAsync("p")).Processes);
        Assert.Equal("SANDBOX_READY", (await StatusAsync(again)).State);
        await CallAsync(again, "PingSandbox", new PingRequest { SandboxId = "p" }, PingResponse.Parser);

        // StopPodSandbox: the containers first. RemovePodSandbox stops again.
        await shim.Client.KillAsync("c", 9);
        Assert.Equal(137u, (await shim.Client.WaitAsync("c").WaitAsync(ShimUnderTest.Deadline)).ExitStatus);
        await shim.Client.DeleteAsync("c");
        await shim.Client.ShutdownAsync("c");
        Assert.False(shim.Ended.IsCompleted);
        for (int i = 0; i < 2; i++)
        {
            await CallAsync(again, "StopSandbox", new StopSandboxRequest { SandboxId = "p", TimeoutSecs = 60 }, StopSandboxResponse.Parser);
        }

        Assert.Equal(137u, (await ended.WaitAsync(ShimUnderTest.Deadline)).ExitStatus);
        status = await StatusAsync(again);
        Assert.Equal(("SANDBOX_NOTREADY", 0u), (status.State, status.Pid));
        Assert.NotNull(status.ExitedAt);
        Assert.Equal(StatusCode.Unavailable, (await ShimUnderTest.RefusedAsync(() => CallAsync(again, "PingSandbox", new PingRequest { SandboxId = "p" }, PingResponse.Parser))).Code);
        await CallAsync(again, "ShutdownSandbox", new ShutdownSandboxRequest { SandboxId = "p" }, ShutdownSandboxResponse.Parser);
        await shim.Ended.WaitAsync(ShimUnderTest.Deadline);
    }

    [Fact]
    public async Task A_machine_that_ends_ends_the_pod_and_is_told()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("p");
        await using TtrpcClient sandboxes = await ConnectAsync(shim);
        await CreateAsync(sandboxes, Request(shim, Config()));
        await CallAsync(sandboxes, "StartSandbox", new StartSandboxRequest { SandboxId = "p" }, StartSandboxResponse.Parser);
        Task<WaitSandboxResponse> ended = CallAsync(sandboxes, "WaitSandbox", new WaitSandboxRequest { SandboxId = "p" }, WaitSandboxResponse.Parser);

        shim.Machine!.Kill();

        Assert.Equal(137u, (await ended.WaitAsync(ShimUnderTest.Deadline)).ExitStatus);
        Assert.Contains("has ended", (await StatusAsync(sandboxes, verbose: true)).Info["reason"]);
        await shim.Manager.ContainsAsync("/tasks/exit p p 137");
    }

    [Fact]
    public async Task A_pod_that_is_no_pod_is_refused_and_its_shim_ended()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("p");
        await using TtrpcClient sandboxes = await ConnectAsync(shim);
        await RefusesAsync("is no folder", request => request.BundlePath = "/nowhere");
        await RefusesAsync("is no folder", request => request.BundlePath = "");
        await RefusesAsync("root file system", request => request.Rootfs.Add(new Mount { Type = "bind" }));
        await RefusesAsync("no absolute path", request => request.NetnsPath = "netns");
        await RefusesAsync("\"x.Y\"", request => request.Options = new Any { TypeUrl = "x.Y" });
        await RefusesAsync("options are none", request => request.Options.Value = ByteString.CopyFrom(0xff));
        await RefusesAsync("io.hearth.vcpus", request => request.Options = Pack(Config(), static config => config.Annotations["io.hearth.vcpus"] = "many"));
        await RefusesAsync("host's network", request => request.Options = Pack(Config(), static config => config.Linux.SecurityContext = Namespaces(NamespaceMode.Node)));
        await RefusesAsync("hostPID", request => request.Options = Pack(Config(), static config => config.Linux.SecurityContext = new() { NamespaceOptions = new() { Pid = NamespaceMode.Node } }));
        await RefusesAsync("hostIPC", request => request.Options = Pack(Config(), static config => config.Linux.SecurityContext = new() { NamespaceOptions = new() { Ipc = NamespaceMode.Node } }));
        await RefusesAsync("User namespaces", request => request.Options = Pack(Config(), static config =>
            config.Linux.SecurityContext = new() { NamespaceOptions = new() { UsernsOptions = new() { Mode = NamespaceMode.Pod } } }));
        await RefusesAsync("no name of a host", request => request.Options = Pack(Config(), static config => config.Hostname = "a/../b"));
        await RefusesAsync("resolv.conf", request => request.Options = Pack(Config(), static config => config.DnsConfig.Servers.Add("1.1.1.1\nx")));
        await RefusesAsync("no cgroup", request => request.Options = Pack(Config(), static config => config.Linux.CgroupParent = "/a/../.."));
        Assert.Equal(StatusCode.NotFound, (await ShimUnderTest.RefusedAsync(() => CreateAsync(sandboxes, new CreateSandboxRequest { SandboxId = "q" }))).Code);
        Assert.Equal(StatusCode.NotFound, (await ShimUnderTest.RefusedAsync(() => StatusAsync(sandboxes))).Code);
        Assert.Null(shim.Machine);

        // What was refused leaves nothing in the way.
        await CreateAsync(sandboxes, Request(shim, Config()));
        Assert.Equal(StatusCode.AlreadyExists, (await ShimUnderTest.RefusedAsync(() => CreateAsync(sandboxes, Request(shim, Config())))).Code);

        // As containerd does after a refusal.
        await CallAsync(sandboxes, "ShutdownSandbox", new ShutdownSandboxRequest { SandboxId = "p" }, ShutdownSandboxResponse.Parser);
        await shim.Ended.WaitAsync(ShimUnderTest.Deadline);

        async Task RefusesAsync(string because, Action<CreateSandboxRequest> change)
        {
            CreateSandboxRequest request = Request(shim, Config());
            change(request);
            (StatusCode code, string message) = await ShimUnderTest.RefusedAsync(() => CreateAsync(sandboxes, request));
            Assert.Equal(StatusCode.InvalidArgument, code);
            Assert.Contains(because, message);
        }
    }

    [Fact]
    public async Task A_pod_without_options_is_as_its_bundle_says_and_has_no_network()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("p");
        await using TtrpcClient sandboxes = await ConnectAsync(shim);
        string bundle = shim.Bundle("p", ShimUnderTest.Specification("pause") with { Hostname = "bundles" });

        await CreateAsync(sandboxes, new CreateSandboxRequest { SandboxId = "p", BundlePath = bundle, Annotations = { ["io.hearth.vcpus"] = "2" } });

        Assert.Equal(("bundles", 2, null), (shim.Machine!.Options.Hostname, shim.Machine.Options.Vcpus, shim.Machine.Options.NetworkNamespace));
    }

    private static PodSandboxConfig Config() => new()
    {
        Metadata = new PodSandboxMetadata { Name = "pod", Namespace = "tests", Uid = "u" },
        Hostname = "host",
        DnsConfig = new DNSConfig { Servers = { "10.0.0.1" }, Searches = { "a.b" }, Options = { "ndots:5" } },
        Annotations = { ["io.hearth.memory-mib"] = "300", ["io.kubernetes.cri.container-type"] = "container" },
        Linux = new LinuxPodSandboxConfig
        {
            CgroupParent = "/pods",
            Sysctls = { ["net.ipv4.ip_forward"] = "1" },
            Resources = new LinuxContainerResources { CpuQuota = 250_000, CpuPeriod = 100_000 },
        },
    };

    private static LinuxSandboxSecurityContext Namespaces(NamespaceMode network) => new() { NamespaceOptions = new NamespaceOption { Network = network } };

    private static CreateSandboxRequest Request(ShimUnderTest shim, PodSandboxConfig config) => new()
    {
        SandboxId = "p",
        BundlePath = Directory.CreateDirectory(Path.Combine(shim.Folder, "bundle-p")).FullName,
        Options = Pack(config, static _ => { }),
    };

    // typeurl.MarshalAny of CRI's type.
    private static Any Pack(PodSandboxConfig config, Action<PodSandboxConfig> change)
    {
        change(config);
        return new Any { TypeUrl = "runtime.v1.PodSandboxConfig", Value = config.ToByteString() };
    }

    private static async Task<TtrpcClient> ConnectAsync(ShimUnderTest shim)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(Path.Combine(shim.Folder, "task")));
        return new TtrpcClient(new NetworkStream(socket, ownsSocket: true));
    }

    private static Task CreateAsync(TtrpcClient sandboxes, CreateSandboxRequest request) => CallAsync(sandboxes, "CreateSandbox", request, CreateSandboxResponse.Parser);

    private static Task<SandboxStatusResponse> StatusAsync(TtrpcClient sandboxes, bool verbose = false) =>
        CallAsync(sandboxes, "SandboxStatus", new SandboxStatusRequest { SandboxId = "p", Verbose = verbose }, SandboxStatusResponse.Parser);

    private static Task<TResponse> CallAsync<TResponse>(TtrpcClient sandboxes, string method, IMessage request, MessageParser<TResponse> parser)
        where TResponse : IMessage<TResponse> => sandboxes.CallAsync(TaskServices.Sandbox, method, request, parser, null, null, default);
}
