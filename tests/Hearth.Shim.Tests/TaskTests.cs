using Hearth.Oci.Runtime;
using Hearth.Shim.Bootstrap;
using Hearth.Shim.Protocol;
using Hearth.Shim.Protocol.Tasks;
using Hearth.Ttrpc;

namespace Hearth.Shim.Tests;

/// <summary>The task service over its socket, with the real agent behind it.</summary>
public sealed class TaskTests
{
    [Fact]
    public async Task A_container_alone_lives_as_containerd_expects_and_its_events_are_in_order()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("c1");
        string log = Path.Combine(shim.Folder, "c1.log");
        await shim.CreateAsync("c1", ShimUnderTest.Specification("echo out; echo err >&2; read line; exit 7"), request =>
        {
            request.Stdin = "stream://";
            request.Stdout = request.Stderr = "cri://" + log;
        });
        StateResponse created = await shim.Client.StateAsync("c1");
        Assert.Equal((Status.Created, (uint)shim.Machine!.MonitorPid), (created.Status, created.Pid));
        Assert.Equal((uint)shim.Machine.MonitorPid, (await shim.Client.StartAsync("c1")).Pid);
        Assert.Equal(Status.Running, (await shim.Client.StateAsync("c1")).Status);
        Assert.Equal((uint)Environment.ProcessId, (await shim.Client.ConnectTaskAsync("c1")).ShimPid);
        Assert.Equal((uint)shim.Machine.MonitorPid, Assert.Single((await shim.Client.PidsAsync("c1")).Processes).Pid);
        Assert.Equal((StatusCode.FailedPrecondition, "cannot delete a running process c1"), await ShimUnderTest.RefusedAsync(() => shim.Client.DeleteAsync("c1")));
        Assert.Equal(StatusCode.FailedPrecondition, (await ShimUnderTest.RefusedAsync(() => shim.Client.StartAsync("c1"))).Code);

        Task<WaitResponse> wait = shim.Client.WaitAsync("c1");
        Assert.False(wait.IsCompleted);
        await using (Stream input = await shim.Client.OpenStdioAsync(new Agent.Protocol.StdioHandshake("c1", "", Agent.Protocol.StdioStream.Stdin)))
        {
            await input.WriteAsync("go\n"u8.ToArray());
        }

        Assert.Equal(7u, (await wait.WaitAsync(ShimUnderTest.Deadline)).ExitStatus);
        Assert.Equal(7u, (await shim.Client.WaitAsync("c1")).ExitStatus);
        (StatusCode code, string message) = await ShimUnderTest.RefusedAsync(() => shim.Client.KillAsync("c1", 9));
        Assert.Equal(StatusCode.NotFound, code);
        Assert.StartsWith("process already finished", message);
        StateResponse stopped = await shim.Client.StateAsync("c1");
        Assert.Equal((Status.Stopped, 7u), (stopped.Status, stopped.ExitStatus));
        string[] lines = File.ReadAllLines(log);
        Assert.Equal(["stderr F err", "stdout F out"], lines.Select(static line => line[31..]).Order());

        DeleteResponse deleted = await shim.Client.DeleteAsync("c1");

        Assert.Equal((7u, (uint)shim.Machine.MonitorPid), (deleted.ExitStatus, deleted.Pid));
        Assert.Equal(StatusCode.NotFound, (await ShimUnderTest.RefusedAsync(() => shim.Client.StateAsync("c1"))).Code);
        Assert.True(shim.Machine.Stopped.IsCompleted);
        await shim.Manager.ContainsAsync("/tasks/delete c1 7");
        Assert.Equal(["/tasks/create c1", "/tasks/start c1", "/tasks/exit c1 c1 7", "/tasks/delete c1 7"], shim.Manager.Lines);
        Assert.All(shim.Manager.Events, static happened => Assert.Equal("test", happened.Namespace));
        Assert.Equal("containerd.events.TaskCreate", shim.Manager.Events[0].Event.TypeUrl);
        await shim.Client.ShutdownAsync("c1");
        await shim.Ended.WaitAsync(ShimUnderTest.Deadline);
    }

    [Fact]
    public async Task A_pod_has_its_machine_from_its_sandbox_and_loses_it_with_it()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("p1");
        await shim.StartAsync("p1", ShimUnderTest.Sandbox("p1", ("io.kubernetes.cri.sandbox-memory", "134217728"), ("io.kubernetes.cri.sandbox-cpu-quota", "150000"), ("io.kubernetes.cri.sandbox-cpu-period", "100000")));
        Assert.Equal((2, 128 + 96), (shim.Machine!.Options.Vcpus, shim.Machine.Options.MemoryMib));
        await shim.StartAsync("a", ShimUnderTest.Member("p1", "exec sleep 1000"));
        await shim.StartAsync("b", ShimUnderTest.Member("p1", "exit 3"));
        Assert.Equal(3u, (await shim.Client.WaitAsync("b").WaitAsync(ShimUnderTest.Deadline)).ExitStatus);
        Assert.Equal(StatusCode.AlreadyExists, (await ShimUnderTest.RefusedAsync(() => shim.CreateAsync("a", ShimUnderTest.Member("p1", "true")))).Code);
        Assert.Equal(StatusCode.InvalidArgument, (await ShimUnderTest.RefusedAsync(() => shim.CreateAsync("x", ShimUnderTest.Member("p2", "true")))).Code);
        await shim.Client.DeleteAsync("b");
        Assert.Equal(["b"], shim.Machine.Detached);
        await shim.Client.ShutdownAsync("b");
        Assert.Equal("p1", (await shim.Client.StatusAsync()).PodId);

        await shim.Client.KillAsync("p1", 9);

        Assert.Equal(137u, (await shim.Client.WaitAsync("p1").WaitAsync(ShimUnderTest.Deadline)).ExitStatus);
        Assert.Equal(137u, (await shim.Client.WaitAsync("a").WaitAsync(ShimUnderTest.Deadline)).ExitStatus);
        Assert.False((await shim.Client.StatusAsync()).Ready);
        await shim.Client.DeleteAsync("a");
        await shim.Client.DeleteAsync("p1");
        await shim.Client.ShutdownAsync("p1");
        await shim.Ended.WaitAsync(ShimUnderTest.Deadline);
    }

    [Fact]
    public async Task The_hosts_network_is_refused_under_whatever_name()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("c");
        RuntimeSpec spec = ShimUnderTest.Specification("true");

        (StatusCode code, string message) = await ShimUnderTest.RefusedAsync(
            () => shim.CreateAsync("c", spec with { Linux = spec.Linux! with { Namespaces = [.. spec.Linux.Namespaces.Where(static one => one.Type != "network"), new() { Type = "network", Path = "/proc/self/ns/net" }] } }));

        Assert.Equal(StatusCode.InvalidArgument, code);
        Assert.Contains("the host's network", message, StringComparison.Ordinal);
        Assert.Null(shim.Machine);
    }

    [Theory]
    [InlineData("pid", "hostPID")]
    [InlineData("ipc", "hostIPC")]
    [InlineData("uts", "hostname")]
    public async Task The_hosts_other_namespaces_are_refused(string kind, string asked)
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("p");
        foreach (RuntimeSpec spec in (RuntimeSpec[])[ShimUnderTest.Sandbox("p"), ShimUnderTest.Specification("true")])
        {
            IEnumerable<NamespaceSpec> others = spec.Linux!.Namespaces.Where(one => one.Type != kind);
            foreach (NamespaceSpec[] host in (NamespaceSpec[][])[[], [new() { Type = kind, Path = $"/proc/self/ns/{kind}" }]])
            {
                (StatusCode code, string message) = await ShimUnderTest.RefusedAsync(
                    () => shim.CreateAsync("p", spec with { Linux = spec.Linux with { Namespaces = [.. others, .. host] } }));

                Assert.Equal(StatusCode.InvalidArgument, code);
                Assert.Contains(asked, message, StringComparison.Ordinal);
            }
        }

        Assert.Null(shim.Machine);
        // In a pod they are the pod's, by the monitor's process as containerd writes them, and where they are not listed.
        await shim.CreateAsync("p", ShimUnderTest.Sandbox("p"));
        RuntimeSpec member = ShimUnderTest.Member("p", "true");
        await shim.CreateAsync("c", member with { Linux = member.Linux! with { Namespaces = [new() { Type = "mount" }, new() { Type = kind, Path = $"/proc/self/ns/{kind}" }] } });
        await shim.CreateAsync("d", member with { Linux = member.Linux! with { Namespaces = [new() { Type = "mount" }] } });
    }

    [Fact]
    public async Task Who_deletes_a_pod_by_its_bundle_ends_its_shim_with_all_that_is_in_it()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("p");
        await shim.StartAsync("p", ShimUnderTest.Sandbox("p"));
        await shim.StartAsync("a", ShimUnderTest.Member("p", "exec sleep 1000"));
        var arguments = new ShimArguments { Namespace = "test", Socket = Path.Combine(shim.Folder, "task") };

        await DeleteCommand.RunAsync(arguments with { Id = "a", Bundle = Path.Combine(shim.Folder, "bundle-a") }, Stream.Null);
        Assert.Equal("p", (await shim.Client.StatusAsync()).PodId);
        await shim.StartAsync("b", ShimUnderTest.Member("p", "exec sleep 1000"));
        await DeleteCommand.RunAsync(arguments with { Id = "p", Bundle = Path.Combine(shim.Folder, "bundle-p") }, Stream.Null);

        await shim.Ended.WaitAsync(ShimUnderTest.Deadline);
    }

    [Fact]
    public async Task A_pod_without_a_sandbox_goes_on_until_its_last_container_has_gone()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("x");
        await shim.StartAsync("x", ShimUnderTest.Specification("exec sleep 1000"));
        await shim.StartAsync("y", ShimUnderTest.Member("x", "exec sleep 1000"));
        var arguments = new ShimArguments { Namespace = "test", Socket = Path.Combine(shim.Folder, "task") };

        // Of two, one is paused, and not the machine.
        await shim.Client.PauseAsync("x");
        await shim.ExecAsync("y", "e", "exit 3");
        await shim.Client.StartAsync("y", "e");
        Assert.Equal(3u, (await shim.Client.WaitAsync("y", "e").WaitAsync(ShimUnderTest.Deadline)).ExitStatus);
        await shim.Client.ResumeAsync("x");

        await DeleteCommand.RunAsync(arguments with { Id = "x", Bundle = Path.Combine(shim.Folder, "bundle-x") }, Stream.Null);
        Assert.Equal(StatusCode.NotFound, (await ShimUnderTest.RefusedAsync(() => shim.Client.StateAsync("x"))).Code);
        Assert.Equal(Status.Running, (await shim.Client.StateAsync("y")).Status);
        Assert.False(shim.Machine!.Stopped.IsCompleted);
        await shim.StartAsync("z", ShimUnderTest.Member("x", "exec sleep 1000"));

        // Two that go at a time end the machine too.
        await Task.WhenAll(((string[])["y", "z"]).Select(id =>
            DeleteCommand.RunAsync(arguments with { Id = id, Bundle = Path.Combine(shim.Folder, $"bundle-{id}") }, Stream.Null)));
        await shim.Ended.WaitAsync(ShimUnderTest.Deadline);
        Assert.True(shim.Machine.Stopped.IsCompleted);
    }

    [Fact]
    public async Task When_the_machine_dies_everything_has_ended_and_the_shim_still_answers()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("p");
        await shim.StartAsync("p", ShimUnderTest.Sandbox("p"));
        await shim.StartAsync("a", ShimUnderTest.Member("p", "exec sleep 1000"));
        await shim.CreateAsync("b", ShimUnderTest.Member("p", "true"));
        await shim.ExecAsync("a", "e", "sleep 1000");
        await shim.Client.StartAsync("a", "e");
        using var limit = new CancellationTokenSource(ShimUnderTest.Deadline);
        using TtrpcStream<PodEvent> events = await shim.Client.EventsAsync(limit.Token);
        Task<WaitResponse> wait = shim.Client.WaitAsync("a");

        shim.Machine!.Kill();

        Assert.Equal(137u, (await wait.WaitAsync(ShimUnderTest.Deadline)).ExitStatus);
        Assert.Equal(137u, (await shim.Client.WaitAsync("a", "e").WaitAsync(ShimUnderTest.Deadline)).ExitStatus);
        Assert.Equal(137u, (await shim.Client.WaitAsync("b").WaitAsync(ShimUnderTest.Deadline)).ExitStatus);
        await foreach (PodEvent happened in events.ReadAllAsync(limit.Token))
        {
            if (happened.EventCase == PodEvent.EventOneofCase.MachineStopped)
            {
                Assert.Equal("the test's agent has ended", happened.MachineStopped);
                break;
            }
        }

        await shim.Manager.ContainsAsync("/tasks/exit a a 137");
        await shim.Manager.ContainsAsync("/tasks/exit a e 137");
        PodStatus status = await shim.Client.StatusAsync();
        Assert.Equal((false, "the test's agent has ended"), (status.Ready, status.Reason));
        Assert.Equal(StatusCode.Unavailable, (await ShimUnderTest.RefusedAsync(() => shim.CreateAsync("c", ShimUnderTest.Member("p", "true")))).Code);
        foreach (string id in (string[])["a", "b", "p"])
        {
            Assert.Equal(137u, (await shim.Client.DeleteAsync(id)).ExitStatus);
        }

        // Who comes later hears of what ended: nothing is left.
        Assert.Empty((await shim.Client.StatusAsync()).Containers);
    }

    [Fact]
    public async Task A_container_that_cannot_be_made_leaves_nothing()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("c");
        RuntimeSpec spec = ShimUnderTest.Specification("true");
        Assert.Equal(StatusCode.NotFound, (await ShimUnderTest.RefusedAsync(() => shim.Client.CreateAsync(new CreateTaskRequest { Id = "c", Bundle = "/nowhere" }))).Code);
        Assert.Equal(StatusCode.NotFound, (await ShimUnderTest.RefusedAsync(() => shim.CreateAsync("c", spec, request => request.Stdout = "/nowhere/fifo"))).Code);
        Assert.Null(shim.Machine);
        (StatusCode code, string message) = await ShimUnderTest.RefusedAsync(() => shim.CreateAsync("c", spec with { Process = spec.Process! with { Args = [] } }));
        Assert.Equal(StatusCode.InvalidArgument, code);
        Assert.Contains("process.args", message);
        Assert.True(shim.Machine!.Stopped.IsCompleted);
        Assert.Empty((await shim.Client.StatusAsync()).Containers);

        // Managers want to hear of it before they start it; those of CRI when they start it.
        RuntimeSpec missing = spec with { Process = spec.Process! with { Args = ["not-there"] } };
        (code, message) = await ShimUnderTest.RefusedAsync(() => shim.CreateAsync("c", missing));
        Assert.Equal((StatusCode.NotFound, "exec: \"not-there\": executable file not found in $PATH"), (code, message));
        await shim.CreateAsync("c", missing with { Annotations = new Dictionary<string, string> { ["io.hearth.program-at-start"] = "true" } });
        (code, message) = await ShimUnderTest.RefusedAsync(() => shim.Client.StartAsync("c"));
        Assert.Equal((StatusCode.NotFound, "exec: \"not-there\": executable file not found in $PATH"), (code, message));
        // Docker asks at once, and keeps for good what has not ended.
        Assert.Equal(Status.Stopped, (await shim.Client.StateAsync("c")).Status);
        await shim.Client.WaitAsync("c").WaitAsync(ShimUnderTest.Deadline);
        await shim.Client.DeleteAsync("c");
    }

    /// <summary>containerd 1.6 that comes back to a living shim keeps a task that it can neither start nor remove; of one that has gone it deletes what is left.</summary>
    [Fact]
    public async Task A_manager_that_dies_while_a_container_is_made_leaves_no_shim()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("c");
        var booting = new TaskCompletionSource();
        shim.Boots = async cancellation =>
        {
            booting.SetResult();
            await Task.Delay(Timeout.Infinite, cancellation);
        };
        var manager = await ShimClient.ConnectAsync(Path.Combine(shim.Folder, "task"));
        Task creating = shim.CreateAsync("c", ShimUnderTest.Specification("true"), client: manager);
        await booting.Task.WaitAsync(ShimUnderTest.Deadline);
        Assert.False(shim.Ended.IsCompleted);

        await manager.DisposeAsync();

        await Assert.ThrowsAnyAsync<Exception>(() => creating);
        await shim.Ended.WaitAsync(ShimUnderTest.Deadline);
    }

    [Fact]
    public async Task Processes_are_added_with_states_streams_and_events_of_their_own()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("c");
        await shim.StartAsync("c", ShimUnderTest.Specification("exec sleep 1000"));
        await shim.ExecAsync("c", "e", "read line; echo got $line; exit 5", request => request.Stdin = request.Stdout = "stream://");
        Assert.Equal(StatusCode.AlreadyExists, (await ShimUnderTest.RefusedAsync(() => shim.ExecAsync("c", "e", "true"))).Code);
        Assert.Equal(Status.Created, (await shim.Client.StateAsync("c", "e")).Status);
        Assert.Equal(StatusCode.FailedPrecondition, (await ShimUnderTest.RefusedAsync(() => shim.Client.KillAsync("c", 9, execId: "e"))).Code);
        await shim.Client.StartAsync("c", "e");
        Assert.Equal(Status.Running, (await shim.Client.StateAsync("c", "e")).Status);
        await using (Stream input = await shim.Client.OpenStdioAsync(new Agent.Protocol.StdioHandshake("c", "e", Agent.Protocol.StdioStream.Stdin)))
        {
            await input.WriteAsync("this\n"u8.ToArray());
        }

        await using Stream output = await shim.Client.OpenStdioAsync(new Agent.Protocol.StdioHandshake("c", "e", Agent.Protocol.StdioStream.Stdout));
        Assert.Equal("got this\n", await new StreamReader(output).ReadToEndAsync().WaitAsync(ShimUnderTest.Deadline));
        Assert.Equal(5u, (await shim.Client.WaitAsync("c", "e").WaitAsync(ShimUnderTest.Deadline)).ExitStatus);
        Assert.Equal(5u, (await shim.Client.DeleteAsync("c", "e")).ExitStatus);
        Assert.Equal(StatusCode.NotFound, (await ShimUnderTest.RefusedAsync(() => shim.Client.StateAsync("c", "e"))).Code);

        await shim.ExecAsync("c", "bad", "");
        await shim.Client.DeleteAsync("c", "bad");
        await shim.Client.KillAsync("c", 9, all: true);
        Assert.Equal(137u, (await shim.Client.WaitAsync("c").WaitAsync(ShimUnderTest.Deadline)).ExitStatus);
        await shim.Manager.ContainsAsync("/tasks/exit c c 137");
        Assert.Equal(
            ["/tasks/create c", "/tasks/start c", "/tasks/exec-added c e", "/tasks/exec-started c e", "/tasks/exit c e 5", "/tasks/exec-added c bad", "/tasks/exit c c 137"],
            shim.Manager.Lines);
    }

    [Fact]
    public async Task A_pause_of_the_pod_stops_the_machine_and_that_of_a_container_only_itself()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("p");
        await shim.StartAsync("p", ShimUnderTest.Sandbox("p"));
        await shim.StartAsync("a", ShimUnderTest.Member("p", "exec sleep 1000"));
        await shim.Client.PauseAsync("a");
        Assert.Equal(Status.Paused, (await shim.Client.StateAsync("a")).Status);
        Assert.Equal(StatusCode.FailedPrecondition, (await ShimUnderTest.RefusedAsync(() => shim.Client.PauseAsync("a"))).Code);
        await shim.ExecAsync("a", "e", "true");
        Assert.Equal(StatusCode.FailedPrecondition, (await ShimUnderTest.RefusedAsync(() => shim.Client.StartAsync("a", "e"))).Code);
        await shim.Client.ResumeAsync("a");
        await shim.Client.PauseAsync("p");
        Assert.Equal(StatusCode.FailedPrecondition, (await ShimUnderTest.RefusedAsync(() => shim.Client.StatsAsync("a"))).Code);
        await shim.Client.ResumeAsync("p");
        Assert.NotEqual(0u, Protocol.Metrics2.Metrics.Parser.ParseFrom((await shim.Client.StatsAsync("a")).Stats.Value).CalculateSize() > 0 ? 1u : 0u);
        await shim.Manager.ContainsAsync("/tasks/resumed p");
        Assert.Equal(["/tasks/paused a", "/tasks/resumed a", "/tasks/paused p", "/tasks/resumed p"], shim.Manager.Lines.Where(static line => line.Contains("paused") || line.Contains("resumed")));
    }

    [Fact]
    public async Task What_is_used_is_counted_and_limits_are_handed_on()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("p");
        await shim.StartAsync("p", ShimUnderTest.Sandbox("p"));
        await shim.StartAsync("a", ShimUnderTest.Member("p", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exec sleep 1000"));

        PodStats stats = await shim.Client.PodStatsAsync();
        Google.Protobuf.WellKnownTypes.Any one = (await shim.Client.StatsAsync("a")).Stats;
        Google.Protobuf.WellKnownTypes.Any sandbox = (await shim.Client.StatsAsync("p")).Stats;

        Assert.Equal("a", Assert.Single(stats.Containers).ContainerId);
        Assert.True(stats.HostMemoryBytes > 0);
        Assert.Equal(one.TypeUrl, sandbox.TypeUrl);
        Assert.Matches("^io.containerd.cgroups.v[12].Metrics$", one.TypeUrl);
        await shim.Client.UpdatePodResourcesAsync("""{"memory":{"limit":2147483648},"cpu":{"quota":300000,"period":100000}}"""u8.ToArray());
        Assert.Equal((3, 2048 + 96), shim.Machine!.Updated);
        (StatusCode code, string message) = await ShimUnderTest.RefusedAsync(() => shim.Client.UpdatePodResourcesAsync("""{"memory":{"limit":17179869184}}"""u8.ToArray()));
        Assert.Equal((StatusCode.FailedPrecondition, "The machine cannot grow so far."), (code, message));
        Assert.Equal(StatusCode.InvalidArgument, (await ShimUnderTest.RefusedAsync(() => shim.Client.UpdateAsync("a", "{"u8.ToArray()))).Code);
    }

    [Fact]
    public async Task Hooks_run_on_the_host_with_the_state_and_stop_what_they_fail()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("c");
        string seen = Path.Combine(shim.Folder, "seen");
        HookSpec Hook(string command, int? timeout = null) => new() { Path = "/bin/sh", Args = ["sh", "-c", command], Env = ["PATH=/usr/bin:/bin"], Timeout = timeout };
        RuntimeSpec spec = ShimUnderTest.Specification("true", ("k", "v"));
        (StatusCode code, string message) = await ShimUnderTest.RefusedAsync(() => shim.CreateAsync("c", spec with { Hooks = new HooksSpec { Prestart = [Hook("echo no good; exit 4")] } }));
        Assert.Equal((StatusCode.Unknown, "The hook /bin/sh ended with 4: no good"), (code, message));
        (_, message) = await ShimUnderTest.RefusedAsync(() => shim.CreateAsync("c", spec with { Hooks = new HooksSpec { CreateRuntime = [Hook("sleep 100", timeout: 1)] } }));
        Assert.Equal("The hook /bin/sh did not end in 1 s.", message);
        (code, _) = await ShimUnderTest.RefusedAsync(() => shim.CreateAsync("c", spec with { Hooks = new HooksSpec { StartContainer = [Hook("true")] } }));
        Assert.Equal(StatusCode.InvalidArgument, code);

        await shim.StartAsync("c", spec with { Hooks = new HooksSpec { Prestart = [Hook($"cat >> {seen}")], Poststart = [Hook($"cat >> {seen}")], Poststop = [Hook($"cat >> {seen}")] } });
        int monitor = shim.Machine!.MonitorPid;
        await shim.Client.WaitAsync("c").WaitAsync(ShimUnderTest.Deadline);
        await shim.Client.DeleteAsync("c");

        string bundle = Path.Combine(shim.Folder, "bundle-c");
        string State(string status, string pid) => "{\"ociVersion\":\"1.2.0\",\"id\":\"c\",\"status\":\"" + status + "\"," + pid + "\"bundle\":\"" + bundle + "\",\"annotations\":{\"k\":\"v\"}}";
        Assert.Equal(State("creating", $"\"pid\":{monitor},") + State("running", $"\"pid\":{monitor},") + State("stopped", ""), File.ReadAllText(seen));
    }

    [Fact]
    public async Task A_manager_that_restarts_hears_what_happened_meanwhile()
    {
        await using ShimUnderTest shim = await ShimUnderTest.StartAsync("c");
        await shim.StartAsync("c", ShimUnderTest.Specification("exec sleep 1000"));
        await shim.Manager.ContainsAsync("/tasks/start c");
        await shim.Manager.StopAsync();
        await shim.Client.KillAsync("c", 9);
        await shim.Client.WaitAsync("c").WaitAsync(ShimUnderTest.Deadline);
        await shim.Client.DeleteAsync("c");

        shim.Manager.Start();

        await shim.Manager.ContainsAsync("/tasks/delete c 137");
        Assert.Equal(["/tasks/create c", "/tasks/start c", "/tasks/exit c c 137", "/tasks/delete c 137"], shim.Manager.Lines.Distinct());
    }
}
