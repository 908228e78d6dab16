using System.Net.Sockets;
using Hearth.Agent.Protocol;
using Hearth.Configuration;
using Hearth.Runtime.Handlers;
using Hearth.Runtime.Pods;
using Hearth.Shim.Protocol;
using Hearth.Shim.Protocol.Tasks;
using Hearth.Testing;
using Hearth.Ttrpc;
using Empty = Google.Protobuf.WellKnownTypes.Empty;
using StatusCode = Hearth.Ttrpc.StatusCode;

namespace Hearth.Runtime.Tests;

/// <summary>
/// A test peer that answers what hearth-shim would, to try the manager's side of the connection: what it sends, and what it makes of
/// answers that a real one gives seldom. The program itself is a script that prints where this listens.
/// </summary>
internal sealed class ShimPeer : IAsyncDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly CancellationTokenSource _end = new();
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly List<Socket> _connections = [];
    private readonly TaskCompletionSource _gone = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public ShimPeer()
    {
        Socket = Path.Combine(_folder.Path, "s.sock");
        _listener.Bind(new UnixDomainSocketEndPoint(Socket));
        _listener.Listen();
        _ = AcceptAsync();
        string program = Path.Combine(_folder.Path, "hearth-shim");
        ProgramFile.Write(program, $$"""
            #!/bin/sh
            echo "$(pwd) $*" >> {{_folder.Path}}/calls
            for last; do :; done
            [ "$last" = start ] && echo '{"version":2,"address":"unix://{{Socket}}","protocol":"ttrpc"}'
            exit 0
            """);
        Bundle = Directory.CreateDirectory(Path.Combine(_folder.Path, "bundle")).FullName;
        Handler = new MicrovmHandler(new HearthConfig { Microvm = new MicrovmConfig { Shim = program } }, null, Log.Add);
    }

    public MicrovmHandler Handler { get; }

    public string Socket { get; }

    public string Bundle { get; }

    public List<string> Log { get; } = [];

    public List<HandlerEvent> Events { get; } = [];

    /// <summary>Each call with what it was about.</summary>
    public List<string> Calls { get; } = [];

    public List<CreateTaskRequest> Creates { get; } = [];

    public PodStatus Status { get; } = new() { PodId = "pod", Ready = true };

    /// <summary>What happens, to be told in this order.</summary>
    public System.Threading.Channels.Channel<PodEvent> Feed { get; } = System.Threading.Channels.Channel.CreateUnbounded<PodEvent>();

    /// <summary>What RunProcess answers.</summary>
    public Func<RunProcessRequest, IEnumerable<RunProcessEvent>> Run { get; set; } = static _ => [];

    /// <summary>A status that a method answers with.</summary>
    public Dictionary<string, StatusCode> Refusals { get; } = [];

    /// <summary>Program calls: the folder and the arguments.</summary>
    public string[] ProgramCalls => File.Exists(Path.Combine(_folder.Path, "calls")) ? File.ReadAllLines(Path.Combine(_folder.Path, "calls")) : [];

    public PodLaunch Launch(Task? network = null, IReadOnlyDictionary<string, string>? state = null, PodConfig? config = null) => new()
    {
        Pod = new Pod
        {
            Id = "pod",
            Handler = "microvm",
            Config = config ?? new PodConfig { Metadata = new PodMetadata { Name = "p", Namespace = "n", Uid = "u" } },
            NetworkNamespace = "/netns/pod",
            HandlerState = state ?? new Dictionary<string, string>(),
        },
        Config = new HearthConfig(),
        Folder = Bundle,
        Files = new PodFiles("r", "h", "n"),
        Network = network,
        OnEvent = happened =>
        {
            lock (Events)
            {
                Events.Add(happened);
            }
        },
    };

    /// <summary>The shim dies.</summary>
    public void Die()
    {
        _gone.TrySetResult();
        lock (_connections)
        {
            _connections.ForEach(static connection => connection.Dispose());
        }
    }

    public ValueTask DisposeAsync()
    {
        _end.Cancel();
        Die();
        _listener.Dispose();
        _folder.Dispose();
        return ValueTask.CompletedTask;
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                Socket connection = await _listener.AcceptAsync(_end.Token);
                lock (_connections)
                {
                    _connections.Add(connection);
                }

                _ = new TtrpcServer(TaskService(), PodService()).ServeAsync(new NetworkStream(connection, ownsSocket: true), _end.Token);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private T Answer<T>(string call, T answer)
    {
        lock (Calls)
        {
            Calls.Add(call);
        }

        return Refusals.TryGetValue(call.Split(' ')[0], out StatusCode code) ? throw new TtrpcException(code, $"{call} is refused") : answer;
    }

    private TtrpcService TaskService() => new TtrpcService(TaskServices.TaskV2)
        .Unary("Create", CreateTaskRequest.Parser, (request, _) =>
        {
            Creates.Add(request);
            return Task.FromResult(Answer($"Create {request.Id}", new CreateTaskResponse { Pid = 1 }));
        })
        .Unary("Start", StartRequest.Parser, (request, _) => Task.FromResult(Answer($"Start {request.Id}", new StartResponse { Pid = 1 })))
        .Unary("Kill", KillRequest.Parser, (request, _) => Task.FromResult(Answer($"Kill {request.Id} {request.Signal}", new Empty())))
        .Unary("Delete", DeleteRequest.Parser, (request, _) => Task.FromResult(Answer($"Delete {request.Id}", new DeleteResponse())))
        .Unary("Wait", WaitRequest.Parser, (request, _) => Task.FromResult(Answer($"Wait {request.Id}", new WaitResponse { ExitStatus = 9 })))
        .Unary("Shutdown", ShutdownRequest.Parser, (request, _) =>
        {
            Answer($"Shutdown {request.Now}", 0);
            Die();
            File.Delete(Socket);
            return Task.FromResult(new Empty());
        });

    private TtrpcService PodService() => new TtrpcService(TaskServices.Pod)
        .Unary("Status", Empty.Parser, (_, _) => Task.FromResult(Answer("Status", Status)))
        .ServerStream<Empty, PodEvent>("Events", Empty.Parser, async (_, writer, call) =>
        {
            await foreach (PodEvent happened in Feed.Reader.ReadAllAsync(call.Cancellation))
            {
                await writer.WriteAsync(happened);
            }
        })
        .ServerStream<RunProcessRequest, RunProcessEvent>("RunProcess", RunProcessRequest.Parser, async (request, writer, _) =>
        {
            Answer($"RunProcess {request.ContainerId}", 0);
            foreach (RunProcessEvent happened in Run(request))
            {
                await writer.WriteAsync(happened);
            }
        });
}
