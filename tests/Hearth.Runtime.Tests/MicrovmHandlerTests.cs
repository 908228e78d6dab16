using System.Text;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Hearth.Agent.Protocol;
using Hearth.Oci.Runtime;
using Hearth.Runtime.Handlers;
using Hearth.Runtime.Pods;
using Hearth.Shim.Protocol;
using Hearth.Ttrpc;
using Container = Hearth.Runtime.Pods.Container;
using StatusCode = Hearth.Ttrpc.StatusCode;

namespace Hearth.Runtime.Tests;

public sealed class MicrovmHandlerTests : IAsyncLifetime
{
    private readonly ShimPeer _shim = new();
    private readonly TestImage _images = new();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await _shim.DisposeAsync();
        _images.Dispose();
    }

    [Fact]
    public async Task A_pod_is_a_shim_in_its_bundle_and_a_sandbox_in_the_shim()
    {
        IRunningPod pod = await StartAsync(new PodConfig
        {
            Metadata = new PodMetadata { Name = "p", Namespace = "n", Uid = "u" },
            Hostname = "h",
            Sysctls = new Dictionary<string, string> { ["net.a"] = "1" },
            Annotations = new Dictionary<string, string> { ["io.hearth.vcpus"] = "2", ["other"] = "x" },
            Resources = new LinuxResources { MemoryBytes = 1 << 28, CpuQuota = 200000, CpuPeriod = 100000 },
        });
        Assert.Equal($"{_shim.Bundle} -namespace hearth -id pod -address /run/hearth/hearthd.sock -publish-binary  start", Assert.Single(_shim.ProgramCalls));
        Assert.Equal(["Create pod", "Start pod"], _shim.Calls);
        Assert.Equal(_shim.Socket, pod.State["shim"]);
        RuntimeSpec spec = RuntimeSpec.Parse(File.ReadAllBytes(Path.Combine(_shim.Bundle, "config.json")));
        Assert.Equal("h", spec.Hostname);
        Assert.Equal(["pid ", "ipc ", "uts ", "network /netns/pod"], spec.Linux!.Namespaces.Select(one => $"{one.Type} {one.Path}"));
        Assert.Equal("1", spec.Linux.Sysctl!["net.a"]);
        Assert.Equal(
            [
                "io.hearth.vcpus=2", "io.kubernetes.cri.container-type=sandbox", "io.kubernetes.cri.sandbox-cpu-period=100000",
                "io.kubernetes.cri.sandbox-cpu-quota=200000", "io.kubernetes.cri.sandbox-id=pod", "io.kubernetes.cri.sandbox-memory=268435456",
                "io.kubernetes.cri.sandbox-name=p", "io.kubernetes.cri.sandbox-namespace=n", "io.kubernetes.cri.sandbox-uid=u",
            ],
            spec.Annotations!.Select(pair => $"{pair.Key}={pair.Value}").Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task The_machine_waits_for_the_network_and_the_shim_does_not()
    {
        var network = new TaskCompletionSource();
        Task<IRunningPod> starting = _shim.Handler.StartAsync(_shim.Launch(network.Task), TestContext.Current.CancellationToken);
        await Until(() => _shim.ProgramCalls.Length > 0);
        Assert.Empty(_shim.Calls);
        network.SetException(new PodException(PodFault.Internal, "no addresses left"));
        PodException e = await Assert.ThrowsAsync<PodException>(() => starting);
        Assert.Equal("no addresses left", e.Message);
        Assert.Empty(_shim.Calls);
        Assert.EndsWith("delete", _shim.ProgramCalls[^1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_machine_that_does_not_boot_is_deleted()
    {
        _shim.Refusals["Create"] = StatusCode.Unknown;
        await Assert.ThrowsAsync<TtrpcException>(() => StartAsync());
        Assert.EndsWith($"-bundle {_shim.Bundle} delete", _shim.ProgramCalls[^1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_container_is_a_bundle_with_its_image_as_a_drive()
    {
        IRunningPod pod = await StartAsync();
        string folder = Directory.CreateDirectory(Path.Combine(_shim.Bundle, "containers", "c")).FullName;
        Hearth.Images.Image image = _images.Make();
        ContainerConfig config = new()
        {
            Name = "name",
            Image = "image",
            Stdin = true,
            StdinOnce = true,
            Security = new ContainerSecurity { Namespaces = new NamespaceOptions { Pid = NamespaceMode.Target, TargetId = "other" } },
        };
        await pod.CreateContainerAsync(
            new ContainerLaunch { Container = Record("c", config) with { LogPath = "/log" }, Folder = folder, Spec = new RuntimeSpec { Linux = new LinuxSpec() }, Image = image },
            TestContext.Current.CancellationToken);
        Shim.Protocol.Tasks.CreateTaskRequest made = _shim.Creates[^1];
        Assert.Equal(("c", folder, "stream://", "cri:///log", "cri:///log", false), (made.Id, made.Bundle, made.Stdin, made.Stdout, made.Stderr, made.Terminal));
        Assert.Equal(("erofs", image.RootFilesystem, "ro"), (made.Rootfs[0].Type, made.Rootfs[0].Source, Assert.Single(made.Rootfs[0].Options)));
        RuntimeSpec spec = RuntimeSpec.Parse(File.ReadAllBytes(Path.Combine(folder, "config.json")));
        Assert.Equal(("container", "pod", "name", "true", "other"), (
            spec.Annotations!["io.kubernetes.cri.container-type"], spec.Annotations["io.kubernetes.cri.sandbox-id"],
            spec.Annotations["io.kubernetes.cri.container-name"], spec.Annotations["io.hearth.stdin-once"], spec.Annotations["io.hearth.pid-target"]));
        Assert.Equal("true", spec.Annotations["io.hearth.program-at-start"]);
        Assert.DoesNotContain(spec.Linux!.Namespaces, one => one.Type == "pid");
    }

    [Fact]
    public async Task An_exec_gives_output_exit_code_and_reasons()
    {
        IRunningPod pod = await StartAsync();
        _shim.Run = request => request.TimeoutMs == 0
            ? [Out("a"), Err("e"), Out("b"), Exit(3)]
            : [Out("a"), new RunProcessEvent { Exited = new RunProcessExit { TimedOut = true } }];
        ProcessSpec process = new() { Args = ["x"] };
        ExecResult result = await pod.RunAsync("c", process, null, TestContext.Current.CancellationToken);
        Assert.Equal(("ab", "e", 3), (Encoding.UTF8.GetString(result.Stdout), Encoding.UTF8.GetString(result.Stderr), result.ExitCode));
        PodException e = await Assert.ThrowsAsync<PodException>(() => pod.RunAsync("c", process, TimeSpan.FromSeconds(2), TestContext.Current.CancellationToken));
        Assert.Equal(PodFault.DeadlineExceeded, e.Fault);
        _shim.Run = _ => [Out("a")];
        e = await Assert.ThrowsAsync<PodException>(() => pod.RunAsync("c", process, null, TestContext.Current.CancellationToken));
        Assert.Equal(PodFault.Unavailable, e.Fault);
        foreach ((StatusCode code, int exit) in new[] { (StatusCode.NotFound, 127), (StatusCode.PermissionDenied, 126) })
        {
            _shim.Refusals["RunProcess"] = code;
            result = await pod.RunAsync("c", process, null, TestContext.Current.CancellationToken);
            Assert.Equal(exit, result.ExitCode);
            Assert.Contains("is refused", Encoding.UTF8.GetString(result.Stderr));
        }
    }

    [Fact]
    public async Task Output_beyond_the_bound_is_dropped()
    {
        IRunningPod pod = await StartAsync();
        byte[] piece = new byte[1 << 20];
        _shim.Run = _ => [.. Enumerable.Range(0, 20).Select(_ => new RunProcessEvent { Stdout = ByteString.CopyFrom(piece) }), Exit(0)];
        ExecResult result = await pod.RunAsync("c", new ProcessSpec { Args = ["x"] }, null, TestContext.Current.CancellationToken);
        Assert.Equal(ExecResult.MaxBytes, result.Stdout.Length);
        Assert.Equal(0, result.ExitCode);
    }

    [Fact]
    public async Task What_happens_is_told_and_the_shims_end_is_the_pods()
    {
        await StartAsync();
        var at = new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);
        await _shim.Feed.Writer.WriteAsync(new PodEvent { ContainerStopped = new ContainerState { ContainerId = "c", ExitStatus = 5, ExitedAt = Timestamp.FromDateTimeOffset(at), OutOfMemory = true } });
        await _shim.Feed.Writer.WriteAsync(new PodEvent { OutOfMemory = "d" });
        await Until(() => Seen().Length == 2);
        _shim.Die();
        await Until(() => Seen().Length == 3);
        Assert.Equal(
            [new HandlerEvent.ContainerStopped("c", 5, at, true), new HandlerEvent.MemoryKill("d"), new HandlerEvent.PodStopped("Its shim has ended.")],
            Seen());
    }

    [Fact]
    public async Task The_machines_end_is_told_with_its_reason()
    {
        await StartAsync();
        await _shim.Feed.Writer.WriteAsync(new PodEvent { MachineStopped = "Kernel panic" });
        await Until(() => Seen().Length > 0);
        Assert.Equal(new HandlerEvent.PodStopped("Kernel panic"), Seen()[0]);
    }

    [Fact]
    public async Task A_pod_that_is_stopped_ends_its_shim_and_tells_nothing()
    {
        IRunningPod pod = await StartAsync();
        await pod.StopAsync(TestContext.Current.CancellationToken);
        await pod.DisposeAsync();
        Assert.Equal(["Create pod", "Start pod", "Kill pod 9", "Wait pod", "Delete pod", "Shutdown True"], _shim.Calls);
        Assert.Single(_shim.ProgramCalls);
        Assert.Empty(Seen());
    }

    [Fact]
    public async Task A_shim_that_does_not_stop_is_deleted()
    {
        IRunningPod pod = await StartAsync();
        _shim.Refusals["Delete"] = StatusCode.Internal;
        await pod.StopAsync(TestContext.Current.CancellationToken);
        Assert.EndsWith("delete", _shim.ProgramCalls[^1], StringComparison.Ordinal);
        Assert.Contains("does not stop", Assert.Single(_shim.Log));
    }

    [Fact]
    public async Task A_container_that_runs_is_killed_to_be_removed_and_one_that_is_gone_is_removed()
    {
        IRunningPod pod = await StartAsync();
        _shim.Calls.Clear();
        _shim.Refusals["Delete"] = StatusCode.NotFound;
        await pod.RemoveContainerAsync("c", TestContext.Current.CancellationToken);
        Assert.Equal(["Delete c"], _shim.Calls);
        _shim.Refusals["Delete"] = StatusCode.FailedPrecondition;
        await Assert.ThrowsAsync<TtrpcException>(() => pod.RemoveContainerAsync("c", TestContext.Current.CancellationToken));
        Assert.Equal(["Delete c", "Delete c", "Kill c 9", "Wait c", "Delete c"], _shim.Calls);
        _shim.Refusals["Kill"] = StatusCode.NotFound;
        await pod.KillAsync("c", 15, false, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_pod_is_found_again_by_its_address()
    {
        _shim.Status.Containers.Add(new ContainerState { ContainerId = "runs", Phase = ContainerState.Types.Phase.Running, StartedAt = Timestamp.FromDateTimeOffset(DateTimeOffset.UnixEpoch) });
        _shim.Status.Containers.Add(new ContainerState { ContainerId = "stranger" });
        _shim.Status.Containers.Add(new ContainerState { ContainerId = "pod" });
        PodLaunch launch = _shim.Launch(state: new Dictionary<string, string> { ["shim"] = _shim.Socket });
        Container[] known = [Record("runs") with { Phase = ContainerPhase.Created }, Record("lost") with { Phase = ContainerPhase.Running }];
        Assert.NotNull(await _shim.Handler.AdoptAsync(launch, known, TestContext.Current.CancellationToken));
        Assert.Equal(["Status", "Delete stranger"], _shim.Calls);
        Assert.Equal(new HandlerEvent.ContainerStarted("runs", DateTimeOffset.UnixEpoch), Seen().OfType<HandlerEvent.ContainerStarted>().Single());
        Assert.Equal("lost", Seen().OfType<HandlerEvent.ContainerStopped>().Single().ContainerId);
    }

    [Theory]
    [InlineData(true, "", "out of memory")]
    [InlineData(true, "another", "another pod's")]
    [InlineData(false, "", "does not answer")]
    public async Task A_pod_that_is_gone_is_told_with_the_reason(bool answers, string podId, string because)
    {
        if (!answers)
        {
            _shim.Die();
            File.Delete(_shim.Socket);
        }

        _shim.Status.Ready = false;
        _shim.Status.Reason = "out of memory";
        _shim.Status.PodId = podId.Length > 0 ? podId : "pod";
        PodLaunch launch = _shim.Launch(state: new Dictionary<string, string> { ["shim"] = _shim.Socket });
        Assert.Null(await _shim.Handler.AdoptAsync(launch, [], TestContext.Current.CancellationToken));
        Assert.Contains(because, Assert.IsType<HandlerEvent.PodStopped>(Assert.Single(Seen())).Reason);
    }

    [Theory]
    [InlineData("network")]
    [InlineData("pid")]
    [InlineData("ipc")]
    public void Host_namespaces_are_refused_with_the_handler_that_has_them(string which)
    {
        NamespaceOptions options = new()
        {
            Network = which == "network" ? NamespaceMode.Node : NamespaceMode.Pod,
            Pid = which == "pid" ? NamespaceMode.Node : NamespaceMode.Pod,
            Ipc = which == "ipc" ? NamespaceMode.Node : NamespaceMode.Pod,
        };
        PodException e = Assert.Throws<PodException>(() => _shim.Handler.Check(new PodConfig { Metadata = new PodMetadata { Name = "p" }, Security = new PodSecurity { Namespaces = options } }));
        Assert.Equal(PodFault.InvalidArgument, e.Fault);
        Assert.Contains("\"oci\"", e.Message);
        Assert.Contains("auto_host_namespaces", e.Message);
    }

    [Fact]
    public void What_a_machine_cannot_give_a_container_is_refused()
    {
        ContainerConfig plain = new() { Name = "c", Image = "i" };
        _shim.Handler.Check(_shim.Launch().Pod, plain);
        ContainerMount mount = new() { ContainerPath = "/v", HostPath = "/v" };
        _shim.Handler.Check(_shim.Launch().Pod, plain with { Mounts = [mount with { Image = "x", ImageSubPath = "y" }, mount with { Readonly = true, RecursiveReadonly = true }] });
        foreach ((ContainerConfig config, string because) in new[]
        {
            (plain with { Devices = [new ContainerDevice { ContainerPath = "/dev/x", HostPath = "/dev/x" }] }, "\"oci\""),
            (plain with { Mounts = [mount with { Propagation = MountPropagation.Bidirectional }] }, "\"oci\""),
            (plain with { Mounts = [mount with { UidMappings = [new IdRange()] }] }, "uidMappings"),
            (plain with { Security = new ContainerSecurity { Namespaces = new NamespaceOptions { Pid = NamespaceMode.Node } } }, "\"oci\""),
            (plain with { Security = new ContainerSecurity { Apparmor = new SecurityProfile { Kind = ProfileKind.Localhost, LocalhostRef = "x" } } }, "AppArmor"),
        })
        {
            PodException e = Assert.Throws<PodException>(() => _shim.Handler.Check(_shim.Launch().Pod, config));
            Assert.Equal(PodFault.InvalidArgument, e.Fault);
            Assert.Contains(because, e.Message);
        }
    }

    private static Container Record(string id, ContainerConfig? config = null) => new()
    {
        Id = id,
        PodId = "pod",
        Config = config ?? new ContainerConfig { Name = id, Image = "i" },
        ImageId = "i",
        ImageRef = "i",
        ImageManifest = "m",
    };

    private static RunProcessEvent Out(string text) => new() { Stdout = ByteString.CopyFromUtf8(text) };

    private static RunProcessEvent Err(string text) => new() { Stderr = ByteString.CopyFromUtf8(text) };

    private static RunProcessEvent Exit(uint code) => new() { Exited = new RunProcessExit { ExitStatus = code } };

    private static async Task Until(Func<bool> condition)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (!condition())
        {
            await Task.Delay(5, limit.Token);
        }
    }

    private Task<IRunningPod> StartAsync(PodConfig? config = null) => _shim.Handler.StartAsync(_shim.Launch(config: config), TestContext.Current.CancellationToken);

    private HandlerEvent[] Seen()
    {
        lock (_shim.Events)
        {
            return [.. _shim.Events];
        }
    }
}
