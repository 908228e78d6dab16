using System.Security.Cryptography;
using System.Text;
using Hearth.Configuration;

namespace Hearth.Shim.Bootstrap;

/// <summary>
/// Where a pod's shim keeps things: named by a hash of the manager's namespace and the pod's id, because a socket's path
/// has 107 bytes at most.
/// </summary>
/// <param name="Socket">The task service's. The stream socket's is this with <c>.stream</c> behind it.</param>
/// <param name="Folder">The machine's.</param>
public sealed record ShimPaths(string Socket, string Folder)
{
    private const string Sockets = "shims";

    public string StreamSocket => Socket + ".stream";

    /// <summary>As managers are told it.</summary>
    public string Address => "unix://" + Socket;

    /// <summary>The folder that sockets are in.</summary>
    public string SocketFolder => Path.GetDirectoryName(Socket)!;

    public static ShimPaths Of(HearthConfig config, string @namespace, string podId)
    {
        const int digits = 32;
        string name = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{@namespace}\0{podId}")))[..digits];
        return OfSocket($"{config.Daemon.State}/{Sockets}/{name}.sock");
    }

    /// <summary>What belongs to a socket, wherever that is.</summary>
    public static ShimPaths OfSocket(string socket)
    {
        string path = Path.GetFullPath(socket.StartsWith("unix://", StringComparison.Ordinal) ? socket["unix://".Length..] : socket);
        string parent = Path.GetDirectoryName(path)!;
        return new ShimPaths(
            path,
            Path.GetFileName(parent) == Sockets ? $"{Path.GetDirectoryName(parent)}/pods/{Path.GetFileNameWithoutExtension(path)}" : path + ".pod");
    }
}
