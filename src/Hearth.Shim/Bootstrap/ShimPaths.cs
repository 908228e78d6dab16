using System.Text;
using Hearth.Configuration;
using Hearth.Linux;
using Org.BouncyCastle.Crypto.Digests;

namespace Hearth.Shim.Bootstrap;

/// <summary>
/// Where a pod's shim keeps things: named by a hash of the manager's address, its namespace and the pod's id, because a socket's path
/// has 107 bytes at most, and because two managers may have a pod of the same id.
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

    /// <param name="config">Its state folder is meant.</param>
    /// <param name="namespace">The manager's, that the pod is in.</param>
    /// <param name="podId">The pod's id there.</param>
    /// <param name="manager">The manager's address; empty for one that has none.</param>
    public static ShimPaths Of(HearthConfig config, string @namespace, string podId, string manager)
    {
        const int digits = 32;
        string name = Convert.ToHexStringLower(Sha256(Encoding.UTF8.GetBytes($"{@namespace}\0{podId}\0{manager}")))[..digits];
        return OfSocket($"{config.Daemon.State}/{Sockets}/{name}.sock");
    }

    // Managed: .NET's own is OpenSSL's, which took longer to load than all else that a start of the shim does.
    private static byte[] Sha256(byte[] bytes)
    {
        var digest = new Sha256Digest();
        digest.BlockUpdate(bytes, 0, bytes.Length);
        byte[] hash = new byte[digest.GetDigestSize()];
        digest.DoFinal(hash, 0);
        return hash;
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

    /// <summary>Keeps other shims from starting, and from taking away what this one has just made.</summary>
    public FileDescriptor Lock()
    {
        string state = Path.GetDirectoryName(SocketFolder)!;
        Directory.CreateDirectory(state);
        return FolderLock.Take(state);
    }

    /// <summary>Takes away the sockets, unless another shim has them by now, and the folders that no other pod uses.</summary>
    public void Remove()
    {
        using FileDescriptor locked = Lock();
        if (Directory.Exists(SocketFolder) && !ShimLaunch.IsServed(Socket))
        {
            File.Delete(Socket);
            File.Delete(StreamSocket);
        }

        if (Path.GetFileName(SocketFolder) == Sockets)
        {
            RemoveIfEmpty(SocketFolder);
            RemoveIfEmpty(Path.GetDirectoryName(Folder)!);
        }
    }

    private static void RemoveIfEmpty(string folder)
    {
        try
        {
            Directory.Delete(folder);
        }
        catch (IOException)
        {
            // Others are in it, or it is not there.
        }
    }
}
