using System.Net.Sockets;

namespace Hearth.Firecracker;

/// <summary>
/// Connections from a guest to the host: a guest that connects to a port of CID 2 reaches the Unix socket
/// <c>UDS_PORT</c>, without a handshake. Source: Firecracker docs/vsock.md. Thread: any.
/// </summary>
public sealed class VsockListener : IDisposable
{
    private const int Backlog = 128;

    private readonly Socket _socket;

    private VsockListener(Socket socket, string path, uint port)
    {
        _socket = socket;
        Path = path;
        Port = port;
    }

    public uint Port { get; }

    /// <summary>The Unix socket: a monitor that is another user has to be allowed to write to it.</summary>
    public string Path { get; }

    /// <summary>Listens, before or after the guest starts.</summary>
    /// <param name="udsPath">The vsock device's <c>uds_path</c>, as this process sees it.</param>
    /// <param name="port">The host's port.</param>
    /// <exception cref="SocketException">The path is taken, or cannot be made.</exception>
    public static VsockListener Listen(string udsPath, uint port)
    {
        string path = $"{udsPath}_{port}";
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Bind(new UnixDomainSocketEndPoint(path));
            socket.Listen(Backlog);
            return new VsockListener(socket, path, port);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    public async Task<NetworkStream> AcceptAsync(CancellationToken cancellation = default) =>
        new(await _socket.AcceptAsync(cancellation).ConfigureAwait(false), ownsSocket: true);

    /// <summary>Stops listening and removes the socket's file; connections stay.</summary>
    public void Dispose()
    {
        _socket.Dispose();
        File.Delete(Path);
    }
}
