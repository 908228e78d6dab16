using Hearth.Cri.Protocol;
using Hearth.Lab.Tests.Pods;

namespace Hearth.Lab.Tests.Managers;

/// <summary>Debian's own containerd runs containers in our machines, and what it is told is true.</summary>
public sealed class ContainerdTests(ContainerdLab lab) : IClassFixture<ContainerdLab>
{
    [Fact]
    public void A_container_runs_to_its_end_with_input_output_volume_and_status()
    {
        lab.Ready();
        HostState before = lab.Count();
        string volume = Path.Combine(lab.Folder, "volume");
        Directory.CreateDirectory(volume);
        File.WriteAllText(Path.Combine(volume, "in"), "host\n");

        (int status, string output, string errors) = lab.Run(
            "typed\n", "ctr", "-a", lab.Socket, "run", "--rm", "--runtime", ContainerdLab.Runtime, "--mount", $"type=bind,src={volume},dst=/v,options=rbind:rw", lab.Busybox, "c1",
            "sh", "-c", "uname -r; cat /v/in; echo guest >/v/out; cat; echo wrong >&2; exit 7");

        Assert.True(status == 7, $"{status}: {output}{errors}\n{lab.Tail()}");
        Assert.NotEqual(File.ReadAllText("/proc/sys/kernel/osrelease").Trim(), output.Split('\n')[0]);
        Assert.Equal("host\ntyped\n", output[(output.IndexOf('\n') + 1)..]);
        Assert.Equal("wrong\n", errors);
        Assert.Equal("guest\n", File.ReadAllText(Path.Combine(volume, "out")));
        lab.NothingLeft(before, ContainerdLab.IsContainerds);
    }

    [Fact]
    public void A_task_is_listed_entered_paused_counted_survives_containerd_and_is_killed()
    {
        lab.Ready();
        HostState before = lab.Count();
        lab.Ok("run", "-d", "--runtime", ContainerdLab.Runtime, lab.Busybox, "c2", "sh", "-c", "trap 'exit 5' TERM; sleep 100000 & wait");
        string line = lab.Ok("task", "ls").Split('\n').Single(static line => line.StartsWith("c2", StringComparison.Ordinal));
        Assert.Contains("RUNNING", line);
        string pid = line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1];
        Assert.True(Directory.Exists($"/proc/{pid}"), line);
        Assert.Contains(pid, lab.Ok("task", "ps", "c2"));
        Assert.Equal((3, "in\n", "bad\n"), lab.Run("in\n", "ctr", "-a", lab.Socket, "task", "exec", "--exec-id", "e1", "c2", "sh", "-c", "cat; echo bad >&2; exit 3"));
        Assert.Contains("memory.usage", lab.Ok("task", "metrics", "c2"));
        lab.Ok("task", "pause", "c2");
        Assert.Contains("PAUSED", lab.Ok("task", "ls"));
        lab.Ok("task", "resume", "c2");
        lab.Restart();
        Assert.Contains("RUNNING", lab.Ok("task", "ls"));
        (int status, string output, string errors) = lab.Run("", "script", "-qec", $"ctr -a {lab.Socket} task exec -t --exec-id e2 c2 sh -c 'tty; exit 4'", "/dev/null");
        Assert.True(status == 4, $"{status}: {output}{errors}");
        Assert.Contains("/dev/pts/", output);
        (status, _, errors) = lab.Ctr("task", "exec", "--exec-id", "e3", "c2", "/no/such");
        Assert.NotEqual(0, status);
        Assert.Contains("/no/such", errors);
        lab.Ok("task", "kill", "-s", "SIGTERM", "c2");
        lab.Eventually(() => lab.Ok("task", "ls").Contains("STOPPED"), () => "the task does not stop");
        lab.Forgets("c2", 5);
        lab.Ok("container", "rm", "c2");
        lab.NothingLeft(before, ContainerdLab.IsContainerds);
    }

    [Fact]
    public void What_is_killed_is_reported_and_leaves_nothing()
    {
        lab.Ready();
        HostState before = lab.Count();
        lab.Ok("run", "-d", "--runtime", ContainerdLab.Runtime, lab.Busybox, "k1", "sleep", "100000");
        lab.Ok("run", "-d", "--runtime", ContainerdLab.Runtime, lab.Busybox, "k2", "sleep", "100000");

        // The shim of one, the monitor of the other.
        PodLab.Run("kill", "-9", $"{ProcessWith("-id", "k1")}");
        PodLab.Run("kill", "-9", $"{ProcessWith("--id", "k2")}");

        lab.Eventually(() => !lab.Ok("task", "ls").Contains("RUNNING"), () => "a task goes on");
        _ = lab.Ctr("task", "rm", "-f", "k1");
        lab.Forgets("k2", 137);
        lab.Ok("container", "rm", "k1", "k2");
        lab.NothingLeft(before, ContainerdLab.IsContainerds);
    }

    [Theory]
    [InlineData("host's network", "--net-host")]
    [InlineData("/dev/vda", "--device", "/dev/vda")]
    public void What_a_machine_cannot_give_is_refused_in_words_and_leaves_nothing(string because, params string[] options)
    {
        lab.Ready();
        HostState before = lab.Count();

        (int status, string output, string errors) = lab.Ctr(["run", "--rm", "--runtime", ContainerdLab.Runtime, .. options, lab.Busybox, "b1", "true"]);

        Assert.True(status == 1 && errors.Contains(because), $"{status}: {output}{errors}\n{lab.Tail()}");
        _ = lab.Ctr("container", "rm", "b1");
        lab.NothingLeft(before, ContainerdLab.IsContainerds);
    }

    [Fact]
    public async Task A_pod_of_its_CRI_is_one_machine()
    {
        lab.Ready();
        HostState before = lab.Count();
        using var cri = new CriClient(lab.Socket);
        await cri.PullAsync(lab.Busybox);
        await cri.PullAsync(lab.Pause);
        string logs = Path.Combine(lab.Folder, "logs");
        Directory.CreateDirectory(logs);
        var config = new PodSandboxConfig
        {
            Metadata = new PodSandboxMetadata { Name = "pod", Namespace = "tests", Uid = "uid-1" },
            Hostname = "podhost",
            LogDirectory = logs,
            Linux = new LinuxPodSandboxConfig(),
        };
        string pod = await cri.RunPodAsync(config, "hearth");
        try
        {
            string server = await cri.RunContainerAsync(pod, config, Shell("server", "mkdir -p /www; echo page >/www/index.html; httpd -p 80 -h /www; echo up; sleep 100000 & wait"));
            string client = await cri.RunContainerAsync(pod, config, Shell("client", "sleep 100000 & wait"));

            Assert.Single(ManagerLab.ProcessesWith("--id", pod));
            Assert.Equal("page\npodhost\n", await cri.OutputAsync(client, "wget -qO- http://127.0.0.1/ && hostname"));
            string address = (await cri.PodStatusAsync(pod)).Network.Ip;
            (int status, string page, string errors) = lab.Run("", "curl", "-s", "-m", "60", $"http://{address}/");
            Assert.True(status == 0 && page == "page\n", $"{status}: {page}{errors}");
            Assert.Contains("stdout F up", await File.ReadAllTextAsync(Path.Combine(logs, "server.log")));
            Assert.NotEqual(0ul, (await cri.Runtime.ContainerStatsAsync(new ContainerStatsRequest { ContainerId = server }, deadline: CriClient.Deadline)).Stats.Memory.WorkingSetBytes.Value);
            await cri.StopAsync(client);
            await cri.RemoveAsync(client);
            Assert.Equal(ContainerState.ContainerRunning, (await cri.StatusAsync(server)).State);
        }
        finally
        {
            await cri.RemovePodAsync(pod);
        }

        // What containerd's CRI keeps for all pods: the bridge, and its own cgroup.
        lab.NothingLeft(before, static line => line is "interface hearthctd0" or "mount /run/netns" or "cgroup /sys/fs/cgroup/k8s.io");

        ContainerConfig Shell(string name, string command) => new()
        {
            Metadata = new ContainerMetadata { Name = name },
            Image = new ImageSpec { Image = lab.Busybox },
            Command = { "sh", "-c", command },
            LogPath = $"{name}.log",
            Linux = new LinuxContainerConfig(),
        };
    }

    private static int ProcessWith(string option, string value) => Assert.Single(ManagerLab.ProcessesWith(option, value));
}
