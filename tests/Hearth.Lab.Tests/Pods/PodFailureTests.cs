using System.Net;
using System.Net.Sockets;
using Grpc.Core;
using Hearth.Cri.Protocol;

namespace Hearth.Lab.Tests.Pods;

/// <summary>What is wrong is said clearly, and leaves nothing: the base class counts.</summary>
public sealed class PodFailureTests(PodLab lab) : PodTestBase(lab)
{
    [Fact]
    public async Task A_command_that_is_not_there_is_named()
    {
        PodSandboxConfig config = Lab.Pod("missing");
        string pod = await RunPodAsync(config);
        ContainerConfig config1 = Lab.Idle("missing");
        config1.Command.Clear();
        config1.Command.Add("/no/such/program");
        string container = await Client.CreateAsync(pod, config, config1);
        RpcException error = await CriClient.FailsAsync(() => Client.StartAsync(container));
        Assert.Contains("/no/such/program", error.Status.Detail, StringComparison.Ordinal);
        ContainerStatus status = await Client.StatusAsync(container);
        Assert.Equal((ContainerState.ContainerExited, 127), (status.State, status.ExitCode));
        Assert.Contains("/no/such/program", status.Message, StringComparison.Ordinal);

        // The pod is none the worse for it.
        string next = await Client.RunContainerAsync(pod, config, Lab.Idle("next"));
        Assert.Equal("fine\n", await Client.OutputAsync(next, "echo fine"));
    }

    [Fact]
    public async Task Images_that_cannot_be_had_are_named()
    {
        string missing = $"127.0.0.1:{Lab.RegistryPort}/nothing-here:1";
        RpcException error = await CriClient.FailsAsync(() => Client.PullAsync(missing), StatusCode.NotFound);
        Assert.Contains("nothing-here", error.Status.Detail, StringComparison.Ordinal);
        await CriClient.FailsAsync(() => Client.PullAsync("UPPER CASE"), StatusCode.InvalidArgument);
        Assert.Null((await Client.Images.ImageStatusAsync(new ImageStatusRequest { Image = new ImageSpec { Image = missing } })).Image);

        PodSandboxConfig config = Lab.Pod("no-image");
        string pod = await RunPodAsync(config);
        ContainerConfig container = Lab.Idle("main");
        container.Image.Image = missing;
        error = await CriClient.FailsAsync(() => Client.CreateAsync(pod, config, container), StatusCode.NotFound);
        Assert.Contains("nothing-here", error.Status.Detail, StringComparison.Ordinal);

        int closed = PodLab.FreePort();
        error = await CriClient.FailsAsync(() => Client.PullAsync($"127.0.0.1:{closed}/x:1"), StatusCode.Unavailable, StatusCode.Unknown);
        Assert.Contains($"127.0.0.1:{closed}", error.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_registry_that_hangs_is_given_up()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        int port = ((IPEndPoint)listener.LocalEndpoint).Port;
        string config = Lab.WriteConfig("hanging.toml", text => text.Replace($"127.0.0.1:{Lab.RegistryPort}", $"127.0.0.1:{port}", StringComparison.Ordinal));
        await Lab.StopDaemonAsync("TERM");
        await Lab.StartDaemonAsync(config);
        try
        {
            RpcException error = await CriClient.FailsAsync(() => Client.PullAsync($"127.0.0.1:{port}/x:1"), StatusCode.DeadlineExceeded, StatusCode.Unavailable, StatusCode.Unknown);
            Assert.Contains($"127.0.0.1:{port}", error.Status.Detail, StringComparison.Ordinal);

            // A client that hangs up ends the pull, not the daemon.
            await CriClient.FailsAsync(async () => await Client.Images.PullImageAsync(new PullImageRequest { Image = new ImageSpec { Image = $"127.0.0.1:{port}/y:1" } }, deadline: DateTime.UtcNow.AddSeconds(1)), StatusCode.DeadlineExceeded, StatusCode.Cancelled);
            Assert.NotEmpty((await Client.Images.ListImagesAsync(new ListImagesRequest())).Images);
        }
        finally
        {
            await Lab.StopDaemonAsync("TERM");
            await Lab.StartDaemonAsync();
        }
    }

    [Fact]
    public async Task A_pod_that_cannot_boot_or_have_a_network_says_why()
    {
        string noKernel = Lab.WriteConfig("no-kernel.toml", static text => text.Replace("kernel = \"", "kernel = \"/missing", StringComparison.Ordinal));
        string noAgent = Lab.WriteConfig("no-agent.toml", text => text.Replace(Hearth.Lab.Tests.Lab.AgentInitrd, EmptyInitrd(), StringComparison.Ordinal));
        string noPlugin = Lab.WriteConfig("no-plugin.toml", text => text.Replace("/usr/lib/cni", "/usr/lib/none", StringComparison.Ordinal));
        try
        {
            Assert.Contains("/missing", await FailedPodAsync(noKernel), StringComparison.Ordinal);
            Assert.Contains("bridge", await FailedPodAsync(noPlugin), StringComparison.Ordinal);

            // With the last lines of the guest's console.
            Assert.Matches("(?i)(panic|init|vfs)", await FailedPodAsync(noAgent));
        }
        finally
        {
            await Lab.StopDaemonAsync("TERM");
            await Lab.StartDaemonAsync();
        }
    }

    [Fact]
    public async Task What_a_machine_cannot_give_names_the_handler_that_can()
    {
        PodSandboxConfig config = Lab.Pod("host-network");
        config.Linux.SecurityContext = new LinuxSandboxSecurityContext { NamespaceOptions = new NamespaceOption { Network = NamespaceMode.Node } };
        RpcException error = await CriClient.FailsAsync(() => Client.RunPodAsync(config), StatusCode.InvalidArgument, StatusCode.FailedPrecondition, StatusCode.Unimplemented);
        Assert.Contains("oci", error.Status.Detail, StringComparison.Ordinal);
        error = await CriClient.FailsAsync(() => Client.RunPodAsync(Lab.Pod("handler"), handler: "no-such-handler"));
        Assert.Contains("no-such-handler", error.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_full_disk_is_the_containers_own_problem()
    {
        (_, string container, _) = await RunIdlePodAsync("full");
        (_, string error, int code) = await Client.ExecAsync(container, "dd if=/dev/zero of=/file bs=1M count=2000");
        Assert.NotEqual(0, code);
        Assert.Contains("No space left", error, StringComparison.Ordinal);
        Assert.Equal("alive\n", await Client.OutputAsync(container, "rm /file; echo alive >/file; cat /file"));
    }

    private string EmptyInitrd()
    {
        string path = Path.Combine(Lab.Folder, "empty.initrd");
        using FileStream stream = File.Create(path);
        using var archive = new Hearth.Images.Initrds.CpioWriter(stream);
        archive.AddFile("readme", "no init"u8.ToArray(), 0x1a4);
        return path;
    }

    private async Task<string> FailedPodAsync(string config)
    {
        await Lab.StopDaemonAsync("TERM");
        await Lab.StartDaemonAsync(config);
        PodSandboxConfig pod = Lab.Pod("fails");
        string message = (await CriClient.FailsAsync(() => Client.RunPodAsync(pod))).Status.Detail;
        foreach (PodSandbox left in (await Client.Runtime.ListPodSandboxAsync(new ListPodSandboxRequest())).Items)
        {
            await Client.RemovePodAsync(left.Id);
        }

        return message;
    }
}
