using System.Net.Sockets;
using Grpc.Core;
using Grpc.Net.Client;
using Hearth.Cri.Protocol;
using Hearth.Programs.Hearth.Shell;

namespace Hearth.Programs.Hearth.Daemon;

/// <summary>hearthd, over CRI on its Unix socket. Thread: any.</summary>
internal sealed class DaemonClient : IDisposable
{
    // CRI lists have no pages: a host with thousands of containers answers in one message.
    private const int LargestMessageBytes = 64 << 20;

    private readonly GrpcChannel _channel;

    private DaemonClient(Settings settings)
    {
        Settings = settings;
        var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancellation) => await OpenAsync(settings.Socket, cancellation),
            // A pull takes as long as it takes, and a daemon that is gone closes the connection.
            PooledConnectionIdleTimeout = Timeout.InfiniteTimeSpan,
        };
        _channel = GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions
        {
            HttpHandler = handler,
            DisposeHttpClient = true,
            MaxReceiveMessageSize = LargestMessageBytes,
        });
        Runtime = new RuntimeService.RuntimeServiceClient(_channel);
        Images = new ImageService.ImageServiceClient(_channel);
        Person = new Person.PersonClient(_channel);
    }

    public Settings Settings { get; }

    public RuntimeService.RuntimeServiceClient Runtime { get; }

    public ImageService.ImageServiceClient Images { get; }

    /// <summary>What CRI has no words for.</summary>
    public Person.PersonClient Person { get; }

    /// <summary>Connects; starts the daemon where it does not run and this user may.</summary>
    /// <exception cref="CommandLineException">It does not answer.</exception>
    public static async Task<DaemonClient> ConnectAsync(Settings settings, CancellationToken cancellation)
    {
        if (!await AnswersAsync(settings.Socket, cancellation))
        {
            await DaemonStart.EnsureAsync(settings, cancellation);
        }

        return new DaemonClient(settings);
    }

    /// <summary>A client, whether the daemon runs or not.</summary>
    public static DaemonClient Unchecked(Settings settings) => new(settings);

    /// <summary>Whether something listens at a socket.</summary>
    /// <exception cref="CommandLineException">This user may not know.</exception>
    public static async Task<bool> AnswersAsync(string socket, CancellationToken cancellation)
    {
        try
        {
            await using Stream stream = await OpenAsync(socket, cancellation);
            return true;
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.AccessDenied)
        {
            throw new CommandLineException($"This user may not open hearthd's socket {socket}. Run this as root (sudo hearth …).", CommandLineException.RuntimeFailed, e);
        }
        catch (SocketException)
        {
            return false;
        }
    }

    /// <summary>What a failed call means to a person.</summary>
    public static string Explain(RpcException failure, string? socket = null) => failure.StatusCode switch
    {
        // The client library's own words are about HTTP/2.
        StatusCode.Unavailable => $"hearthd does not answer{(socket is null ? "" : $" at {socket}")}: it is not running, or has just ended. Start it (systemctl start hearthd, or hearthd as root), and see its log.",
        StatusCode.Unimplemented => "This hearthd does not know that call. It is of another version: hearth version shows both.",
        _ when failure.Status.Detail is { Length: > 0 } detail => detail,
        _ => $"hearthd answered {failure.StatusCode} without a word. Its log may say more.",
    };

    public void Dispose() => _channel.Dispose();

    private static async Task<Stream> OpenAsync(string path, CancellationToken cancellation)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
