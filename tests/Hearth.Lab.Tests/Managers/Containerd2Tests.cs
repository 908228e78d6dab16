using Grpc.Core;
using Hearth.Cri.Protocol;
using Hearth.Lab.Tests.Pods;

namespace Hearth.Lab.Tests.Managers;

/// <summary>containerd of Debian's unstable release, with a handler of CRI whose sandboxer is the shim.</summary>
public sealed class Containerd2Lab : ContainerdLab
{
    private protected override string Suite => "sid";

    private protected override string Release => "2.";

    private protected override bool HasSandboxers => true;
}

/// <summary>containerd 2.x, and pods for which no container stands.</summary>
public sealed class Containerd2Tests(Containerd2Lab lab) : ContainerdReleaseTests(lab), IClassFixture<Containerd2Lab>
{
    [Fact]
    public async Task A_pod_of_the_sandbox_service_has_no_container_of_its_own_survives_containerd_and_is_told_to_have_ended()
    {
        Containerd.ReadyOrSkip();
        HostState before = Containerd.Count();
        PodSandboxConfig config = PodConfig();
        config.DnsConfig = new DNSConfig { Servers = { "10.9.8.7" } };
        string pod;
        using (var cri = new CriClient(Containerd.Socket))
        {
            await cri.PullAsync(Containerd.Busybox);
            await cri.PullAsync(Containerd.Pause);
            pod = await cri.RunPodAsync(config, ContainerdLab.SandboxHandler);
            string first = await cri.RunContainerAsync(pod, config, Shell("first", "echo shared >/dev/shm/file; mkdir /www; echo page >/www/index.html; httpd -p 80 -h /www; sleep 100000 & wait"));
            string second = await cri.RunContainerAsync(pod, config, Shell("second", "sleep 100000 & wait"));
            int monitor = Assert.Single(ManagerLab.ProcessesWith("--id", pod));
            Assert.DoesNotContain(pod, Containerd.Ok("-n", "k8s.io", "container", "ls"));
            Assert.Equal("page\npodhost\nnameserver 10.9.8.7\npodhost\nshared\n", await cri.OutputAsync(second, "until wget -qO- http://127.0.0.1/ 2>/dev/null; do sleep 0.1; done; hostname && cat /etc/resolv.conf /etc/hostname /dev/shm/file"));
            string address = (await cri.PodStatusAsync(pod)).Network.Ip;
            (int status, string page, string errors) = Containerd.Run("", "curl", "-s", "-m", "60", $"http://{address}/");
            Assert.True(status == 0 && page == "page\n", $"{status}: {page}{errors}");

            Containerd.Restart();

            Assert.Equal(monitor, Assert.Single(ManagerLab.ProcessesWith("--id", pod)));
            Assert.Equal(PodSandboxState.SandboxReady, (await cri.PodStatusAsync(pod)).State);
            Assert.Equal("shared\n", await cri.OutputAsync(first, "cat /dev/shm/file"));
            await cri.StopAsync(first);
            await cri.RemoveAsync(first);
            Assert.Equal(ContainerState.ContainerRunning, (await cri.StatusAsync(second)).State);
            await cri.RemovePodAsync(pod);
        }

        Containerd.NothingLeft(before, IsCris);
    }

    [Fact]
    public async Task A_sandbox_whose_monitor_is_killed_is_not_ready_and_one_that_cannot_be_says_why()
    {
        Containerd.ReadyOrSkip();
        HostState before = Containerd.Count();
        using var cri = new CriClient(Containerd.Socket);
        await cri.PullAsync(Containerd.Pause);
        PodSandboxConfig config = PodConfig();
        // Not by the host's network: containerd 2.1.9 itself ends on that, before it asks the shim.
        config.Annotations["io.hearth.vcpus"] = "many";
        RpcException refused = await CriClient.FailsAsync(() => cri.RunPodAsync(config, ContainerdLab.SandboxHandler));
        Assert.Contains("The annotation io.hearth.vcpus is \"many\", which is no whole number.", refused.Status.Detail);

        string pod = await cri.RunPodAsync(PodConfig(), ContainerdLab.SandboxHandler);
        PodLab.Run("kill", "-9", $"{Assert.Single(ManagerLab.ProcessesWith("--id", pod))}");

        Containerd.Eventually(() => cri.PodStatusAsync(pod).GetAwaiter().GetResult().State == PodSandboxState.SandboxNotready, () => "the pod stays ready");
        await cri.RemovePodAsync(pod);
        Containerd.NothingLeft(before, IsCris);
    }
}
