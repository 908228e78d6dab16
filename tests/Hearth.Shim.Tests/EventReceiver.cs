using System.Collections.Concurrent;
using System.Net.Sockets;
using Google.Protobuf.WellKnownTypes;
using Hearth.Shim.Protocol;
using Hearth.Shim.Protocol.Tasks;
using Hearth.Ttrpc;

namespace Hearth.Shim.Tests;

/// <summary>A manager's service for events on a socket; it can go away and come back.</summary>
public sealed class EventReceiver : IAsyncDisposable
{
    private readonly string _path;
    private readonly ConcurrentQueue<Envelope> _events = new();
    private CancellationTokenSource _stop = new();
    private Socket? _listener;

    public EventReceiver(string path)
    {
        _path = path;
        Start();
    }

    public IReadOnlyList<Envelope> Events => [.. _events];

    /// <summary>What came, shortly: "/tasks/exit c1 c1 137".</summary>
    public IReadOnlyList<string> Lines => [.. _events.Select(static envelope => Line(envelope))];

    public void Start()
    {
        _stop = new CancellationTokenSource();
        File.Delete(_path);
        _listener = ShimUnderTest.Listen(_path);
        var server = new TtrpcServer(new TtrpcService(TaskServices.Events).Unary<ForwardRequest, Empty>("Forward", ForwardRequest.Parser, (request, _) =>
        {
            _events.Enqueue(request.Envelope);
            return Task.FromResult(new Empty());
        }));
        _ = AcceptAsync(_listener, server, _stop.Token);
    }

    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        _listener?.Dispose();
        File.Delete(_path);
    }

    public Task ContainsAsync(string line) => ShimUnderTest.EventuallyAsync(() => Lines.Contains(line), $"no event \"{line}\"");

    public async ValueTask DisposeAsync() => await StopAsync();

    private static async Task AcceptAsync(Socket listener, TtrpcServer server, CancellationToken stop)
    {
        try
        {
            while (true)
            {
                Socket connection = await listener.AcceptAsync(stop);
                _ = server.ServeAsync(new NetworkStream(connection, ownsSocket: true), stop);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // It ends.
        }
    }

    private static string Line(Envelope envelope) => envelope.Topic + " " + envelope.Topic switch
    {
        "/tasks/create" => TaskCreate.Parser.ParseFrom(envelope.Event.Value) is var e ? e.ContainerId : "",
        "/tasks/start" => TaskStart.Parser.ParseFrom(envelope.Event.Value).ContainerId,
        "/tasks/exit" => TaskExit.Parser.ParseFrom(envelope.Event.Value) is var e ? $"{e.ContainerId} {e.Id} {e.ExitStatus}" : "",
        "/tasks/delete" => TaskDelete.Parser.ParseFrom(envelope.Event.Value) is var e ? $"{e.ContainerId} {e.ExitStatus}" : "",
        "/tasks/exec-added" => TaskExecAdded.Parser.ParseFrom(envelope.Event.Value) is var e ? $"{e.ContainerId} {e.ExecId}" : "",
        "/tasks/exec-started" => TaskExecStarted.Parser.ParseFrom(envelope.Event.Value) is var e ? $"{e.ContainerId} {e.ExecId}" : "",
        "/tasks/paused" => TaskPaused.Parser.ParseFrom(envelope.Event.Value).ContainerId,
        "/tasks/resumed" => TaskResumed.Parser.ParseFrom(envelope.Event.Value).ContainerId,
        _ => "",
    };
}
