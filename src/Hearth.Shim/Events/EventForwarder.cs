using System.Net.Sockets;
using System.Threading.Channels;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Hearth.Shim.Protocol;
using Hearth.Shim.Protocol.Tasks;
using Hearth.Ttrpc;

namespace Hearth.Shim.Events;

/// <summary>
/// Tells the manager what happens, in order, by its own service for events. A manager that restarts gets what happened
/// meanwhile when it is back, unless that is more than <see cref="MaxWaiting"/>: then the oldest is lost. Nothing here makes the task
/// service wait. Thread: any.
/// </summary>
internal sealed class EventForwarder : IAsyncDisposable
{
    private const int MaxWaiting = 4096;

    private static readonly TimeSpan s_again = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_answer = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_farewell = TimeSpan.FromSeconds(3);

    private readonly string _namespace;
    private readonly string _path;
    private readonly ShimLog _log;
    private readonly CancellationTokenSource _end = new();
    private readonly Channel<Envelope> _waiting = Channel.CreateBounded<Envelope>(
        new BoundedChannelOptions(MaxWaiting) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });
    private readonly Task _running;
    private TtrpcClient? _client;

    /// <param name="namespace">The manager's, that the containers are in.</param>
    /// <param name="address">The manager's socket, with or without <c>unix://</c>; empty: events go nowhere.</param>
    /// <param name="log">Takes what goes wrong.</param>
    public EventForwarder(string @namespace, string address, ShimLog log)
    {
        _namespace = @namespace;
        _path = address.StartsWith("unix://", StringComparison.Ordinal) ? address["unix://".Length..] : address;
        _log = log;
        _running = _path.Length == 0 ? Task.CompletedTask : RunAsync();
    }

    /// <summary>Queues an event.</summary>
    public void Publish(string topic, IMessage happened)
    {
        if (_path.Length > 0)
        {
            _waiting.Writer.TryWrite(new Envelope
            {
                Timestamp = Timestamp.FromDateTimeOffset(DateTimeOffset.UtcNow),
                Namespace = _namespace,
                Topic = topic,
                Event = new Any { TypeUrl = happened.Descriptor.FullName, Value = happened.ToByteString() },
            });
        }
    }

    /// <summary>Gives what is queued a moment to be sent.</summary>
    public async ValueTask DisposeAsync()
    {
        _waiting.Writer.TryComplete();
        _end.CancelAfter(s_farewell);
        await _running.ConfigureAwait(false);
        _end.Dispose();
    }

    private async Task RunAsync()
    {
        try
        {
            await foreach (Envelope envelope in _waiting.Reader.ReadAllAsync(_end.Token).ConfigureAwait(false))
            {
                while (!await TrySendAsync(envelope).ConfigureAwait(false))
                {
                    await Task.Delay(s_again, _end.Token).ConfigureAwait(false);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The shim ends.
        }

        if (_client is not null)
        {
            await _client.DisposeAsync().ConfigureAwait(false);
        }
    }

    // False: once more later. What the manager refuses is not sent again.
    private async Task<bool> TrySendAsync(Envelope envelope)
    {
        try
        {
            _client ??= await ConnectAsync().ConfigureAwait(false);
            await _client.CallAsync(TaskServices.Events, "Forward", new ForwardRequest { Envelope = envelope }, Empty.Parser, s_answer, null, _end.Token).ConfigureAwait(false);
            return true;
        }
        catch (TtrpcException e) when (e.Code is not (StatusCode.Unavailable or StatusCode.DeadlineExceeded))
        {
            _log.Error($"The manager refused the event {envelope.Topic}: {e.Message}");
            return true;
        }
        catch (Exception e) when (e is SocketException or TtrpcException)
        {
            _log.Debug($"The event {envelope.Topic} waits for the manager: {e.Message}");
            if (_client is not null)
            {
                await _client.DisposeAsync().ConfigureAwait(false);
                _client = null;
            }

            return false;
        }
    }

    private async Task<TtrpcClient> ConnectAsync()
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(_path), _end.Token).ConfigureAwait(false);
            return new TtrpcClient(new NetworkStream(socket, ownsSocket: true));
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
