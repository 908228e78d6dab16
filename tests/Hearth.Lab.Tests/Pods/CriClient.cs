using Grpc.Core;
using Grpc.Net.Client;
using Hearth.Cri.Protocol;

namespace Hearth.Lab.Tests.Pods;

/// <summary>CRI as the kubelet speaks it, over one connection that stays. Thread: any.</summary>
internal sealed class CriClient : IDisposable
{
    // Of one call, in a lab that is many times slower than hardware.
    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(180);

    private readonly GrpcChannel _channel;

    /// <param name="path">The daemon's Unix socket.</param>
    public CriClient(string path)
    {
        _channel = CriChannel.Open(path);
        Runtime = new RuntimeService.RuntimeServiceClient(_channel);
        Images = new ImageService.ImageServiceClient(_channel);
    }

    public RuntimeService.RuntimeServiceClient Runtime { get; }

    public ImageService.ImageServiceClient Images { get; }

    /// <summary>When a call that starts now must have ended.</summary>
    public static DateTime Deadline => DateTime.UtcNow + s_deadline;

    public async Task<string> PullAsync(string image) => (await Images.PullImageAsync(new PullImageRequest { Image = new ImageSpec { Image = image } }, deadline: Deadline)).ImageRef;

    public async Task<string> RunPodAsync(PodSandboxConfig config, string handler = "") =>
        (await Runtime.RunPodSandboxAsync(new RunPodSandboxRequest { Config = config, RuntimeHandler = handler }, deadline: Deadline)).PodSandboxId;

    public async Task<string> CreateAsync(string pod, PodSandboxConfig podConfig, ContainerConfig config) =>
        (await Runtime.CreateContainerAsync(new CreateContainerRequest { PodSandboxId = pod, Config = config, SandboxConfig = podConfig }, deadline: Deadline)).ContainerId;

    /// <summary>Creates and starts.</summary>
    public async Task<string> RunContainerAsync(string pod, PodSandboxConfig podConfig, ContainerConfig config)
    {
        string id = await CreateAsync(pod, podConfig, config);
        await StartAsync(id);
        return id;
    }

    public async Task StartAsync(string container) => await Runtime.StartContainerAsync(new StartContainerRequest { ContainerId = container }, deadline: Deadline);

    /// <summary>Output, errors and exit code of a shell's command line in a running container.</summary>
    public async Task<(string Stdout, string Stderr, int ExitCode)> ExecAsync(string container, string command, int timeoutSeconds = 0)
    {
        var request = new ExecSyncRequest { ContainerId = container, Timeout = timeoutSeconds, Cmd = { "sh", "-c", command } };
        ExecSyncResponse response = await Runtime.ExecSyncAsync(request, deadline: Deadline);
        return (response.Stdout.ToStringUtf8(), response.Stderr.ToStringUtf8(), response.ExitCode);
    }

    /// <summary>Output of a command line that must succeed.</summary>
    public async Task<string> OutputAsync(string container, string command)
    {
        (string output, string error, int code) = await ExecAsync(container, command);
        Assert.True(code == 0, $"'{command}' ended with {code}: {output}{error}");
        return output;
    }

    public async Task<PodSandboxStatus> PodStatusAsync(string pod) => (await Runtime.PodSandboxStatusAsync(new PodSandboxStatusRequest { PodSandboxId = pod }, deadline: Deadline)).Status;

    public async Task<ContainerStatus> StatusAsync(string container) => (await Runtime.ContainerStatusAsync(new ContainerStatusRequest { ContainerId = container }, deadline: Deadline)).Status;

    public async Task<ContainerStatus> AwaitStateAsync(string container, ContainerState state)
    {
        DateTime deadline = Deadline;
        while (true)
        {
            ContainerStatus status = await StatusAsync(container);
            if (status.State == state)
            {
                return status;
            }

            Assert.True(DateTime.UtcNow < deadline, $"{container} did not become {state}: {status}");
            await Task.Delay(100);
        }
    }

    public async Task StopAsync(string container, long timeoutSeconds = 0) => await Runtime.StopContainerAsync(new StopContainerRequest { ContainerId = container, Timeout = timeoutSeconds }, deadline: Deadline);

    public async Task RemoveAsync(string container) => await Runtime.RemoveContainerAsync(new RemoveContainerRequest { ContainerId = container }, deadline: Deadline);

    /// <summary>Stops and removes a pod with all its containers.</summary>
    public async Task RemovePodAsync(string pod)
    {
        await Runtime.StopPodSandboxAsync(new StopPodSandboxRequest { PodSandboxId = pod }, deadline: Deadline);
        await Runtime.RemovePodSandboxAsync(new RemovePodSandboxRequest { PodSandboxId = pod }, deadline: Deadline);
    }

    /// <summary>The error that a call must end with.</summary>
    public static async Task<RpcException> FailsAsync(Func<Task> call, params StatusCode[] codes)
    {
        RpcException error = await Assert.ThrowsAsync<RpcException>(call);
        Assert.True(codes.Length == 0 || codes.Contains(error.StatusCode), $"{error.StatusCode}, not {string.Join(" or ", codes)}: {error.Status.Detail}");
        return error;
    }

    public void Dispose() => _channel.Dispose();
}
