using Grpc.Core;
using Hearth.Cri.Protocol;
using Hearth.Lab.Tests.Pods;

namespace Hearth.Lab.Tests.Managers;

/// <summary>What every release of containerd must be able to do with our shim: a container by ctr, a pod by CRI.</summary>
public abstract class ContainerdReleaseTests(ContainerdLab lab)
{
    [Fact]
    public void A_container_runs_to_its_end_with_input_output_volume_and_status()
    {
        lab.ReadyOrSkip();
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
    public async Task A_pod_of_its_CRI_is_one_machine()
    {
        lab.ReadyOrSkip();
        HostState before = lab.Count();
        using var cri = new CriClient(lab.Socket);
        await cri.PullAsync(lab.Busybox);
        await cri.PullAsync(lab.Pause);
        PodSandboxConfig hosts = PodConfig();
        hosts.Linux.SecurityContext = new LinuxSandboxSecurityContext { NamespaceOptions = new NamespaceOption { Pid = NamespaceMode.Node } };
        RpcException refused = await CriClient.FailsAsync(() => cri.RunPodAsync(hosts, "hearth"));
        Assert.Contains("The pod asks for the host's processes (hostPID", refused.Status.Detail);
        PodSandboxConfig config = PodConfig();
        string pod = await cri.RunPodAsync(config, "hearth");
        try
        {
            string server = await cri.RunContainerAsync(pod, config, Shell("server", "mkdir -p /www; echo page >/www/index.html; httpd -p 80 -h /www; echo up; sleep 100000 & wait"));
            string client = await cri.RunContainerAsync(pod, config, Shell("client", "sleep 100000 & wait"));

            Assert.Single(ManagerLab.ProcessesWith("--id", pod));
            Assert.Equal("page\npodhost\n", await cri.OutputAsync(client, "until wget -qO- http://127.0.0.1/ 2>/dev/null; do sleep 0.1; done; hostname"));
            string address = (await cri.PodStatusAsync(pod)).Network.Ip;
            (int status, string page, string errors) = lab.Run("", "curl", "-s", "-m", "60", $"http://{address}/");
            Assert.True(status == 0 && page == "page\n", $"{status}: {page}{errors}");
            string log = Path.Combine(config.LogDirectory, "server.log");
            lab.Eventually(() => File.ReadAllText(log).Contains("stdout F up"), () => "the server's log has no line of it");
            Assert.NotEqual(0ul, (await cri.Runtime.ContainerStatsAsync(new ContainerStatsRequest { ContainerId = server }, deadline: CriClient.Deadline)).Stats.Memory.WorkingSetBytes.Value);
            await cri.StopAsync(client);
            await cri.RemoveAsync(client);
            Assert.Equal(ContainerState.ContainerRunning, (await cri.StatusAsync(server)).State);
        }
        finally
        {
            await cri.RemovePodAsync(pod);
        }

        lab.NothingLeft(before, IsCris);
    }

    private protected ContainerdLab Containerd => lab;

    private protected PodSandboxConfig PodConfig() => new()
    {
        Metadata = new PodSandboxMetadata { Name = "pod", Namespace = "tests", Uid = "uid-1" },
        Hostname = "podhost",
        LogDirectory = Directory.CreateDirectory(Path.Combine(lab.Folder, "logs")).FullName,
        Linux = new LinuxPodSandboxConfig(),
    };

    private protected ContainerConfig Shell(string name, string command) => new()
    {
        Metadata = new ContainerMetadata { Name = name },
        Image = new ImageSpec { Image = lab.Busybox },
        Command = { "sh", "-c", command },
        LogPath = $"{name}.log",
        Linux = new LinuxContainerConfig(),
    };

    /// <summary>What containerd's CRI keeps for all pods: the bridge, and its own cgroup.</summary>
    private protected static bool IsCris(string line) => line is "interface hearthctd0" or "mount /run/netns" or "cgroup /sys/fs/cgroup/k8s.io";
}
