using System.Text;
using Hearth.Runtime.Pods;

namespace Hearth.Runtime.Tests.OciPods;

/// <summary>Real pods by conmon and crun or runc, where the host has them.</summary>
public sealed class OciHandlerTests
{
    private const string Idle = "trap 'exit 0' TERM; while :; do sleep 0.1; done";

    [Theory]
    [InlineData("crun")]
    [InlineData("runc")]
    public async Task A_container_lives_and_is_told_about(string runtime)
    {
        await using OciHost host = await OciHost.StartAsync(runtime);
        string pod = await host.Runtime.RunPodAsync(host.Pod("lives"));
        string id = await host.RunAsync(pod, OciHost.Shell("main", $"echo out; echo err >&2; {Idle}"));

        Assert.Equal("lives\n", await host.OutputAsync(id, "hostname"));
        ExecResult result = await host.Runtime.ExecSyncAsync(id, ["sh", "-c", "echo out; echo err >&2; exit 3"]);
        Assert.Equal(("out\n", "err\n", 3), (Encoding.UTF8.GetString(result.Stdout), Encoding.UTF8.GetString(result.Stderr), result.ExitCode));
        PodException missing = await Assert.ThrowsAsync<PodException>(() => host.Runtime.ExecSyncAsync(id, ["/no/such"]));
        Assert.Contains("/no/such", missing.Message, StringComparison.Ordinal);
        PodException late = await Assert.ThrowsAsync<PodException>(() => host.Runtime.ExecSyncAsync(id, ["sleep", "1000"], TimeSpan.FromSeconds(1)));
        Assert.Equal(PodFault.DeadlineExceeded, late.Fault);
        Assert.DoesNotContain("sleep 1000", await host.OutputAsync(id, "ps"), StringComparison.Ordinal);
        await host.OutputAsync(id, "echo changed >/file");
        ContainerUsage usage = await host.Runtime.ContainerStatsAsync(id);
        Assert.True(usage.Cpu.Nanoseconds > 0 && usage.Memory.WorkingSet > 0 && usage.WritableBytes >= 8 && usage.Pids > 0, usage.ToString());
        Assert.True(usage.Counters["threads"] > 0 && usage.Counters["file_descriptors"] > 2 && usage.Counters["memory.peak"] > 0 && usage.Counters["fs.bytes"] > 0, string.Join(' ', usage.Counters));

        await host.Runtime.UpdateContainerResourcesAsync(id, new LinuxResources { MemoryBytes = 48 << 20, CpuQuota = 20_000, CpuPeriod = 100_000 });
        Assert.Equal($"{48 << 20}\n20000 100000\n", await host.OutputAsync(id, "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max"));

        await host.Runtime.StopContainerAsync(id, TimeSpan.FromMinutes(1));
        Container ended = host.Runtime.GetContainer(id);
        Assert.Equal((0, "Completed"), (ended.ExitCode, ended.Reason));
        Assert.Equal(["stderr F err", "stdout F out"], OciHost.LogLines(ended).Order());
        await host.Runtime.RemoveContainerAsync(id);
    }

    [Fact]
    public async Task Ends_are_told_as_they_were()
    {
        await using OciHost host = await OciHost.StartAsync();
        string pod = await host.Runtime.RunPodAsync(host.Pod("ends"));

        Container failed = await host.AwaitEndAsync(await host.RunAsync(pod, OciHost.Shell("failed", "exit 7")));
        Assert.Equal((7, "Error"), (failed.ExitCode, failed.Reason));
        Container hungry = await host.AwaitEndAsync(await host.RunAsync(
            pod, OciHost.Shell("hungry", "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done") with { Resources = new LinuxResources { MemoryBytes = 32 << 20 } }));
        Assert.Equal((137, "OOMKilled"), (hungry.ExitCode, hungry.Reason));
        // conmon's note of it is not left where the daemon runs.
        Assert.False(File.Exists("oom"));
        string stubborn = await host.RunAsync(pod, OciHost.Shell("stubborn", "trap '' TERM; echo ready; while :; do sleep 0.1; done"));
        for (DateTime until = DateTime.UtcNow.AddMinutes(2); !OciHost.LogLines(host.Runtime.GetContainer(stubborn)).Contains("stdout F ready"); await Task.Delay(50))
        {
            Assert.True(DateTime.UtcNow < until, host.Log);
        }

        await host.Runtime.StopContainerAsync(stubborn, TimeSpan.FromSeconds(1));
        Assert.Equal(137, host.Runtime.GetContainer(stubborn).ExitCode);
        PodException absent = await Assert.ThrowsAsync<PodException>(() => host.RunAsync(pod, OciHost.Shell("absent", "") with { Command = ["/no/such"] }));
        Assert.Contains("/no/such", absent.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Namespaces_are_the_pods_or_the_hosts()
    {
        await using OciHost host = await OciHost.StartAsync();
        string pod = await host.Runtime.RunPodAsync(host.Pod("shared"));
        string one = await host.RunAsync(pod, OciHost.Shell("one", Idle));
        string two = await host.RunAsync(pod, OciHost.Shell("two", Idle));
        const string Links = "for n in net ipc uts pid; do readlink /proc/self/ns/$n; done";
        Assert.Equal(await host.OutputAsync(one, Links), await host.OutputAsync(two, Links));
        await host.OutputAsync(one, "echo seen >/dev/shm/file");
        Assert.Equal("seen\n", await host.OutputAsync(two, "cat /dev/shm/file"));
        // The pod's process 1 has a name that nobody looks for, leaves no zombies, and cannot be looked into.
        Assert.Equal("pause\n", await host.OutputAsync(one, "cat /proc/1/comm"));
        await host.OutputAsync(one, "sh -c 'sleep 0 & exec sleep 0' & sleep 1");
        string processes;
        for (DateTime until = DateTime.UtcNow.AddMinutes(2); (processes = await host.OutputAsync(one, "ps")).Contains(" Z ", StringComparison.Ordinal); await Task.Delay(50))
        {
            Assert.True(DateTime.UtcNow < until, processes);
        }

        Assert.NotEqual(0, (await host.Runtime.ExecSyncAsync(one, ["ls", "/proc/1/root/"])).ExitCode);

        NamespaceOptions all = new() { Network = NamespaceMode.Node, Pid = NamespaceMode.Node, Ipc = NamespaceMode.Node };
        string hostly = await host.Runtime.RunPodAsync(host.Pod("hostly", all));
        string main = await host.RunAsync(hostly, OciHost.Shell("main", Idle) with { Security = new ContainerSecurity { Namespaces = all } });
        foreach (string space in new[] { "net", "ipc", "uts", "pid" })
        {
            Assert.Equal(new FileInfo($"/proc/self/ns/{space}").LinkTarget + "\n", await host.OutputAsync(main, $"readlink /proc/self/ns/{space}"));
        }

        string alone = await host.RunAsync(pod, OciHost.Shell("alone", Idle) with { Security = new ContainerSecurity { Namespaces = new NamespaceOptions { Pid = NamespaceMode.Container } } });
        string target = await host.RunAsync(pod, OciHost.Shell("target", Idle) with { Security = new ContainerSecurity { Namespaces = new NamespaceOptions { Pid = NamespaceMode.Target, TargetId = alone } } });
        const string Pid = "readlink /proc/self/ns/pid";
        Assert.Equal(await host.OutputAsync(alone, Pid), await host.OutputAsync(target, Pid));
        Assert.NotEqual(await host.OutputAsync(one, Pid), await host.OutputAsync(alone, Pid));
    }

    [Fact]
    public async Task Streams_reach_processes_and_terminals()
    {
        await using OciHost host = await OciHost.StartAsync();
        string pod = await host.Runtime.RunPodAsync(host.Pod("streams"));
        string id = await host.RunAsync(pod, OciHost.Shell("main", "while read line; do echo got $line; done; exit 9") with { Stdin = true, StdinOnce = true });

        await using (IProcessSession piped = await host.Runtime.OpenExecAsync(id, new ExecOptions { Command = ["sh", "-c", "cat; exit 4"], Stdin = true, Stderr = true }))
        {
            await piped.Stdin!.WriteAsync("through\n"u8.ToArray());
            await piped.Stdin.DisposeAsync();
            Assert.Equal("through\n", await new StreamReader(piped.Stdout!).ReadToEndAsync());
            Assert.Equal(4, await piped.WaitAsync());
        }

        await using (IProcessSession terminal = await host.Runtime.OpenExecAsync(id, new ExecOptions { Command = ["sh", "-c", "read x; stty size; exit 5"], Stdin = true, Tty = true }))
        {
            await terminal.ResizeAsync(71, 33);
            var said = new StreamReader(terminal.Stdout!);
            // Resizing is by another way than the input: it is asked for until it has come.
            await terminal.Stdin!.WriteAsync("\n"u8.ToArray());
            Assert.Contains("33 71", await said.ReadToEndAsync(), StringComparison.Ordinal);
            Assert.Equal(5, await terminal.WaitAsync());
        }

        await using (IProcessSession attached = await host.Runtime.OpenAttachAsync(id, new AttachOptions { Stdin = true }))
        {
            await attached.Stdin!.WriteAsync("hello\n"u8.ToArray());
            Assert.Equal("got hello", await new StreamReader(attached.Stdout!).ReadLineAsync());
            await attached.Stdin.DisposeAsync();
            Assert.Equal(9, await attached.WaitAsync());
        }

        Assert.Equal(9, (await host.AwaitEndAsync(id)).ExitCode);
        string server = await host.RunAsync(pod, OciHost.Shell("server", "echo served | nc -l -p 7000; sleep 1000"));
        string served = "";
        for (DateTime until = DateTime.UtcNow.AddMinutes(2); served.Length == 0; await Task.Delay(50))
        {
            Assert.True(DateTime.UtcNow < until, host.Log);
            try
            {
                await using Stream port = await host.Runtime.OpenPortAsync(pod, 7000);
                served = await new StreamReader(port).ReadToEndAsync();
            }
            catch (PodException e) when (e.Fault == PodFault.NotFound)
            {
                // It does not listen yet.
            }
        }

        Assert.Equal("served\n", served);
        Assert.NotNull(server);
    }

    [Fact]
    public async Task A_pod_outlives_its_manager()
    {
        await using OciHost host = await OciHost.StartAsync();
        string pod = await host.Runtime.RunPodAsync(host.Pod("outlives"));
        string lasting = await host.RunAsync(pod, OciHost.Shell("lasting", $"echo $$ >/dev/shm/lasting; {Idle}"));
        string ending = await host.RunAsync(pod, OciHost.Shell("ending", "while [ ! -e /dev/shm/end ]; do sleep 0.1; done; exit 5"));
        string shm = Path.Combine(host.Config.Daemon.State, "bundles", pod, "shm");

        await host.Runtime.DisposeAsync();
        await File.WriteAllTextAsync(Path.Combine(shm, "end"), "");
        await host.RestartAsync();

        Assert.True(host.Runtime.GetPod(pod).IsReady, host.Log);
        Assert.Equal(5, (await host.AwaitEndAsync(ending)).ExitCode);
        Assert.Equal(ContainerPhase.Running, host.Runtime.GetContainer(lasting).Phase);
        Assert.Equal("again\n", await host.OutputAsync(lasting, "echo again"));
        string log = host.Runtime.GetContainer(lasting).LogPath;
        File.Move(log, log + ".1");
        await host.Runtime.ReopenLogAsync(lasting);
        Assert.True(File.Exists(log));
        await host.Runtime.RemovePodAsync(pod);
        Assert.Equal("", host.Left());
    }

    [Theory]
    [InlineData("conmon")]
    [InlineData("infra")]
    public async Task Processes_that_are_killed_are_missed(string which)
    {
        await using OciHost host = await OciHost.StartAsync();
        string pod = await host.Runtime.RunPodAsync(host.Pod("killed"));
        string id = await host.RunAsync(pod, OciHost.Shell("main", Idle));
        string folder = Path.Combine(host.Config.Daemon.State, "bundles", pod);
        string file = which == "infra" ? Path.Combine(folder, "infra", "pid") : Path.Combine(folder, "containers", id, "conmon.pid");

        Runtime.OciPods.HostProcess.Kill(Runtime.OciPods.HostProcess.ReadPid(file));

        Assert.NotEqual(0, (await host.AwaitEndAsync(id)).ExitCode);
        for (DateTime until = DateTime.UtcNow.AddMinutes(2); host.Runtime.GetPod(pod).IsReady != (which == "conmon"); await Task.Delay(50))
        {
            Assert.True(DateTime.UtcNow < until, host.Log);
        }
    }
}
