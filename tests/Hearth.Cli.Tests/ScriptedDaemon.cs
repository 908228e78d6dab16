using System.Collections.Concurrent;
using System.Globalization;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using Grpc.Core;
using Hearth.Cri.Protocol;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Hearth.Cli.Tests;

/// <summary>
/// A CRI server on a Unix socket whose containers do what their arguments say, without a machine: <c>say TEXT</c> writes a line into
/// the log, <c>exit N</c> ends with that status, <c>sleep</c> stays until it is stopped or signalled, <c>nope</c> cannot be started.
/// Exec over its WebSockets writes back what it is sent, upper case, and ends with status 7.
/// </summary>
internal sealed class ScriptedDaemon : IAsyncDisposable
{
    private readonly WebApplication _application;
    private readonly TemporaryFolder _folder = new();

    private ScriptedDaemon()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddGrpc();
        builder.Services.AddSingleton(this);
        builder.Services.AddSingleton<Runtime>();
        builder.Services.AddSingleton<Images>();
        builder.Services.AddSingleton<Persons>();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.ListenUnixSocket(Socket, listen => listen.Protocols = HttpProtocols.Http2);
            kestrel.Listen(System.Net.IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http1);
        });
        _application = builder.Build();
        _application.UseWebSockets();
        _application.MapGrpcService<Runtime>();
        _application.MapGrpcService<Images>();
        _application.MapGrpcService<Persons>();
        _application.Map("/exec", StreamAsync);
    }

    public string Folder => _folder.Path;

    public string Socket => Path.Combine(_folder.Path, "d.sock");

    /// <summary>A configuration that keeps everything in this daemon's folder.</summary>
    public string Config => _folder.Write("hearth.toml", $"[daemon]\nsocket = \"{Socket}\"\nroot = \"{_folder.Path}/root\"\nstate = \"{_folder.Path}/state\"\n");

    public ConcurrentDictionary<string, PodSandboxConfig> Pods { get; } = new();

    public ConcurrentDictionary<string, ContainerStatus> Containers { get; } = new();

    public ConcurrentDictionary<string, CreateContainerRequest> Requests { get; } = new();

    public ConcurrentQueue<string> Calls { get; } = new();

    public ExecProcessRequest? LastExec { get; private set; }

    public static async Task<ScriptedDaemon> StartAsync()
    {
        var daemon = new ScriptedDaemon();
        await daemon._application.StartAsync();
        return daemon;
    }

    public async ValueTask DisposeAsync()
    {
        await _application.DisposeAsync();
        _folder.Dispose();
    }

    private string Url => _application.Urls.Single(url => url.Contains("127.0.0.1")) + "/exec";

    private static long Now => DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() * 1_000_000;

    private static RpcException NotFound(string id) => new(new Grpc.Core.Status(StatusCode.NotFound, $"There is no \"{id}\"."));

    private void End(string id, int status)
    {
        ContainerStatus container = Containers[id];
        container.ExitCode = status;
        container.FinishedAt = Now;
        container.State = ContainerState.ContainerExited;
    }

    private async Task StreamAsync(HttpContext context)
    {
        using WebSocket socket = await context.WebSockets.AcceptWebSocketAsync("v5.channel.k8s.io");
        var block = new byte[4096];
        while (true)
        {
            WebSocketReceiveResult received = await socket.ReceiveAsync(block, CancellationToken.None);
            if (received.MessageType == WebSocketMessageType.Close)
            {
                return;
            }

            if (block[0] == 255)
            {
                break;
            }

            if (block[0] == 0)
            {
                string typed = Encoding.UTF8.GetString(block, 1, received.Count - 1);
                await socket.SendAsync(Encoding.UTF8.GetBytes("\u0001" + typed.ToUpperInvariant()), WebSocketMessageType.Binary, true, CancellationToken.None);
            }
        }

        const string Status = """{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"7"}]}}""";
        await socket.SendAsync(Encoding.UTF8.GetBytes("\u0003" + Status), WebSocketMessageType.Binary, true, CancellationToken.None);
        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, CancellationToken.None);
    }

    private sealed class Runtime(ScriptedDaemon daemon) : RuntimeService.RuntimeServiceBase
    {
        public override Task<VersionResponse> Version(VersionRequest request, ServerCallContext context) =>
            Task.FromResult(new VersionResponse { Version = "0.1.0", RuntimeName = "scripted", RuntimeVersion = "9", RuntimeApiVersion = "v1" });

        public override Task<RunPodSandboxResponse> RunPodSandbox(RunPodSandboxRequest request, ServerCallContext context)
        {
            string id = Guid.NewGuid().ToString("N");
            daemon.Pods[id] = request.Config;
            daemon.Calls.Enqueue("run pod");
            return Task.FromResult(new RunPodSandboxResponse { PodSandboxId = id });
        }

        public override Task<StopPodSandboxResponse> StopPodSandbox(StopPodSandboxRequest request, ServerCallContext context)
        {
            daemon.Calls.Enqueue("stop pod");
            return Task.FromResult(new StopPodSandboxResponse());
        }

        public override Task<RemovePodSandboxResponse> RemovePodSandbox(RemovePodSandboxRequest request, ServerCallContext context)
        {
            daemon.Pods.TryRemove(request.PodSandboxId, out _);
            foreach ((string id, CreateContainerRequest created) in daemon.Requests.Where(one => one.Value.PodSandboxId == request.PodSandboxId).ToArray())
            {
                daemon.Containers.TryRemove(id, out _);
                daemon.Requests.TryRemove(id, out _);
            }

            daemon.Calls.Enqueue("remove pod");
            return Task.FromResult(new RemovePodSandboxResponse());
        }

        public override Task<PodSandboxStatusResponse> PodSandboxStatus(PodSandboxStatusRequest request, ServerCallContext context)
        {
            PodSandboxConfig pod = daemon.Pods.GetValueOrDefault(request.PodSandboxId) ?? throw NotFound(request.PodSandboxId);
            var status = new PodSandboxStatus { Id = request.PodSandboxId, Metadata = pod.Metadata };
            status.Labels.Add(pod.Labels);
            return Task.FromResult(new PodSandboxStatusResponse { Status = status });
        }

        public override Task<ListPodSandboxResponse> ListPodSandbox(ListPodSandboxRequest request, ServerCallContext context)
        {
            var answer = new ListPodSandboxResponse();
            answer.Items.Add(daemon.Pods.Select(pod => new PodSandbox { Id = pod.Key, Metadata = pod.Value.Metadata, Labels = { pod.Value.Labels }, CreatedAt = Now }));
            return Task.FromResult(answer);
        }

        public override Task<CreateContainerResponse> CreateContainer(CreateContainerRequest request, ServerCallContext context)
        {
            string id = Guid.NewGuid().ToString("N");
            daemon.Requests[id] = request;
            daemon.Containers[id] = new ContainerStatus
            {
                Id = id,
                Metadata = request.Config.Metadata,
                State = ContainerState.ContainerCreated,
                CreatedAt = Now,
                Image = request.Config.Image,
                LogPath = Path.Combine(daemon.Pods[request.PodSandboxId].LogDirectory, request.Config.LogPath),
            };
            daemon.Calls.Enqueue("create");
            return Task.FromResult(new CreateContainerResponse { ContainerId = id });
        }

        public override async Task<StartContainerResponse> StartContainer(StartContainerRequest request, ServerCallContext context)
        {
            ContainerStatus status = daemon.Containers[request.ContainerId];
            status.State = ContainerState.ContainerRunning;
            status.StartedAt = Now;
            daemon.Calls.Enqueue("start");
            string[] words = [.. daemon.Requests[request.ContainerId].Config.Args];
            for (int i = 0; i < words.Length; i++)
            {
                switch (words[i])
                {
                    case "say":
                        await File.AppendAllTextAsync(status.LogPath, $"{DateTime.UtcNow:O} stdout F {words[++i]}\n");
                        break;
                    case "exit":
                        daemon.End(status.Id, int.Parse(words[++i], CultureInfo.InvariantCulture));
                        break;
                    case "nope":
                        daemon.End(status.Id, 127);
                        throw new RpcException(new Grpc.Core.Status(StatusCode.Unknown, "exec nope: no such file or directory"));
                }
            }

            return new StartContainerResponse();
        }

        public override Task<StopContainerResponse> StopContainer(StopContainerRequest request, ServerCallContext context)
        {
            daemon.End(request.ContainerId, 143);
            daemon.Calls.Enqueue($"stop {request.Timeout}");
            return Task.FromResult(new StopContainerResponse());
        }

        public override Task<RemoveContainerResponse> RemoveContainer(RemoveContainerRequest request, ServerCallContext context)
        {
            daemon.Containers.TryRemove(request.ContainerId, out _);
            daemon.Calls.Enqueue("remove");
            return Task.FromResult(new RemoveContainerResponse());
        }

        public override Task<ListContainersResponse> ListContainers(ListContainersRequest request, ServerCallContext context)
        {
            var answer = new ListContainersResponse();
            answer.Containers.Add(daemon.Containers.Values
                .Where(one => request.Filter?.State is null || request.Filter.State.State == one.State)
                .Select(one => new Container
                {
                    Id = one.Id,
                    PodSandboxId = daemon.Requests[one.Id].PodSandboxId,
                    Metadata = one.Metadata,
                    State = one.State,
                    CreatedAt = one.CreatedAt,
                    Image = one.Image,
                    Labels = { daemon.Requests[one.Id].Config.Labels },
                }));
            return Task.FromResult(answer);
        }

        public override Task<ContainerStatusResponse> ContainerStatus(ContainerStatusRequest request, ServerCallContext context)
        {
            var answer = new ContainerStatusResponse { Status = daemon.Containers.GetValueOrDefault(request.ContainerId) ?? throw NotFound(request.ContainerId) };
            answer.Info.Add("info", JsonSerializer.Serialize(new Dictionary<string, bool> { ["tty"] = false }));
            return Task.FromResult(answer);
        }

        public override Task<ExecResponse> Exec(ExecRequest request, ServerCallContext context) => Task.FromResult(new ExecResponse { Url = daemon.Url });
    }

    private sealed class Images(ScriptedDaemon daemon) : ImageService.ImageServiceBase
    {
        public override Task<ImageStatusResponse> ImageStatus(ImageStatusRequest request, ServerCallContext context)
        {
            daemon.Calls.Enqueue($"image {request.Image.Image}");
            return Task.FromResult(new ImageStatusResponse { Image = request.Image.Image.StartsWith("here", StringComparison.Ordinal) ? new Image { Id = "sha256:1" } : null });
        }
    }

    private sealed class Persons(ScriptedDaemon daemon) : Person.PersonBase
    {
        public override Task<SignalResponse> Signal(SignalRequest request, ServerCallContext context)
        {
            daemon.Calls.Enqueue($"signal {request.Signal}");
            daemon.End(request.ContainerId, 128 + (int)request.Signal);
            return Task.FromResult(new SignalResponse());
        }

        public override Task<ExecResponse> ExecProcess(ExecProcessRequest request, ServerCallContext context)
        {
            daemon.LastExec = request;
            return Task.FromResult(new ExecResponse { Url = daemon.Url });
        }
    }
}
