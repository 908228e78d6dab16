using Grpc.Core;
using Hearth.Cri.Protocol;
using Hearth.Programs.Daemon.Streaming;
using Hearth.Runtime.Pods;

namespace Hearth.Programs.Daemon.Cri;

/// <content>Exec, attach and port-forward: a URL for the client, who then comes to the streaming server.</content>
internal sealed partial class RuntimeServer
{
    public override Task<ExecResponse> Exec(ExecRequest request, ServerCallContext context) => Task.FromResult(Exec(request, [], "", ""));

    /// <summary>CRI's exec, of a process that may differ from its container's.</summary>
    public ExecResponse Exec(ExecRequest request, IReadOnlyList<string> environment, string workingDirectory, string user)
    {
        Check(request.Tty, request.Stderr, request.Stdin || request.Stdout || request.Stderr);
        Runtime.Pods.Container container = Running(request.ContainerId);
        return new ExecResponse
        {
            Url = Publish(new ExecStreaming
            {
                ContainerId = container.Id,
                Command = Command(request.Cmd),
                Stdin = request.Stdin,
                Stdout = request.Stdout,
                Stderr = request.Stderr,
                Tty = request.Tty,
                Environment = environment,
                WorkingDirectory = workingDirectory,
                User = user,
            }),
        };
    }

    public override Task<AttachResponse> Attach(AttachRequest request, ServerCallContext context)
    {
        Check(request.Tty, request.Stderr, request.Stdin || request.Stdout || request.Stderr);
        // Before its start too: only so does a client miss nothing of what it says.
        Runtime.Pods.Container container = runtime.GetContainer(Id(request.ContainerId, "container")) is { Phase: ContainerPhase.Created } created ? created : Running(request.ContainerId);
        return Task.FromResult(new AttachResponse
        {
            Url = Publish(new AttachStreaming
            {
                ContainerId = container.Id,
                Stdin = request.Stdin,
                Stdout = request.Stdout,
                Stderr = request.Stderr,
                Tty = request.Tty,
            }),
        });
    }

    public override Task<PortForwardResponse> PortForward(PortForwardRequest request, ServerCallContext context)
    {
        if (request.Port.FirstOrDefault(static port => port is < 1 or > 65535, 1) is var port and not 1)
        {
            throw new PodException(PodFault.InvalidArgument, $"{port} is no port.");
        }

        Pod pod = runtime.GetPod(Id(request.PodSandboxId, "pod"));
        if (!pod.IsReady)
        {
            throw new PodException(PodFault.FailedPrecondition, $"The pod {pod.Id} is not ready: nothing in it listens.");
        }

        return Task.FromResult(new PortForwardResponse { Url = Publish(new PortForwardStreaming { PodSandboxId = pod.Id, Ports = [.. request.Port] }) });
    }

    private static void Check(bool tty, bool stderr, bool any)
    {
        if (tty && stderr)
        {
            throw new PodException(PodFault.InvalidArgument, "A terminal has one output: tty and stderr exclude each other.");
        }

        if (!any)
        {
            throw new PodException(PodFault.InvalidArgument, "None of stdin, stdout and stderr was asked for.");
        }
    }

    private Runtime.Pods.Container Running(string id)
    {
        Runtime.Pods.Container container = runtime.GetContainer(Id(id, "container"));
        return container.Phase == ContainerPhase.Running
            ? container
            : throw new PodException(PodFault.FailedPrecondition, $"The container {container.Id} does not run.");
    }

    private string Publish(StreamingRequest request) => streaming.Publish(request)
        ?? throw new PodException(PodFault.ResourceExhausted, $"{StreamTokens.MaxWaiting} streams were asked for in the last minute and nobody came for them. Try again later.");
}
