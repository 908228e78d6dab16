using Hearth.Linux;
using Hearth.Vmm.Actions;

namespace Hearth.Vmm.Api.Http;

/// <summary>
/// The API socket: at most <see cref="MaxConnections"/> clients at once, each with its own half-read request, none of
/// which keeps another waiting. Requests run one at a time, to their end. Thread: the API loop's.
/// </summary>
public sealed class ApiServer : IEventHandler, IDisposable
{
    /// <summary>Source: Firecracker's micro-http, MAX_CONNECTIONS.</summary>
    public const int MaxConnections = 10;

    private readonly EventLoop _loop;
    private readonly Func<HttpRequest, VmmResponse> _handler;
    private readonly int _maxPayloadBytes;
    private readonly string _path;
    private readonly UnixListener _listener;
    private readonly EventRegistration _registration;
    private readonly HashSet<ApiConnection> _connections = [];

    /// <param name="path">Where the socket is made; removed at <see cref="Dispose"/>.</param>
    /// <param name="loop">Runs the server.</param>
    /// <param name="maxPayloadBytes">The largest body.</param>
    /// <param name="handler">Answers one request.</param>
    /// <exception cref="LinuxException">The socket cannot be made.</exception>
    public ApiServer(string path, EventLoop loop, int maxPayloadBytes, Func<HttpRequest, VmmResponse> handler)
    {
        _path = path;
        _loop = loop;
        _maxPayloadBytes = maxPayloadBytes;
        _handler = handler;
        _listener = UnixListener.Bind(path, MaxConnections);
        _registration = loop.Add(_listener, EpollEvents.In, this);
    }

    public void OnReady(EpollEvents events)
    {
        while (_listener.TryAccept() is { } stream)
        {
            if (_connections.Count >= MaxConnections)
            {
                // One attempt: a fresh socket's buffer takes these few bytes.
                stream.Send(HttpResponse.TooManyConnections);
                stream.Dispose();
                continue;
            }

            _connections.Add(new ApiConnection(stream, _loop, new HttpParser(_maxPayloadBytes), _handler, Forget));
        }
    }

    public void Dispose()
    {
        _loop.Remove(_registration);
        _listener.Dispose();
        foreach (ApiConnection connection in _connections)
        {
            connection.Dispose();
        }

        _connections.Clear();
        try
        {
            File.Delete(_path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The folder may be gone, or not ours any more in a jail: the socket is dead either way.
        }
    }

    private void Forget(ApiConnection connection) => _connections.Remove(connection);
}
