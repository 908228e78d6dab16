using System.Net.Sockets;
using Hearth.Linux;

namespace Hearth.Programs.Daemon;

/// <summary>The file of CRI's socket: root's, and its group's.</summary>
internal static class CriSocket
{
    private const UnixFileMode Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite;

    // sockaddr_un has room for that and a zero.
    private const int MaxPathBytes = 107;

    /// <summary>Makes room: its folder, and no socket of a daemon that died.</summary>
    /// <exception cref="HearthException">Somebody answers there, or the path is in use otherwise.</exception>
    public static void Prepare(string path)
    {
        if (System.Text.Encoding.UTF8.GetByteCount(path) > MaxPathBytes)
        {
            throw new HearthException($"The socket's path {path} is longer than {MaxPathBytes} bytes, the most that Linux takes. Choose another (daemon.socket).");
        }

        try
        {
            if (Path.GetDirectoryName(Path.GetFullPath(path)) is { } folder)
            {
                Directory.CreateDirectory(folder);
            }

            if (!Path.Exists(path))
            {
                return;
            }

            if (Answers(path))
            {
                throw new HearthException($"Another daemon answers at {path}. Stop it, or give this one another socket and root folder.");
            }

            File.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new HearthException($"The socket {path} cannot be made: {e.Message}", e);
        }
    }

    /// <summary>Lets its group in. Before, with any usual umask, only its owner can connect.</summary>
    public static void LetGroupIn(string path) => File.SetUnixFileMode(path, Mode);

    private static bool Answers(string path)
    {
        try
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            socket.Connect(new UnixDomainSocketEndPoint(path));
            return true;
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionRefused)
        {
            // A file that is no socket refuses likewise: it is not this daemon's to delete.
            return (File.GetAttributes(path) & FileAttributes.Directory) != 0 || !IsSocket(path)
                ? throw new HearthException($"{path} is there and is no socket. Remove it, or choose another path (daemon.socket).")
                : false;
        }
    }

    private static bool IsSocket(string path) => new FileInfo(path) is { Length: 0 } && !OpensAsFile(path);

    private static bool OpensAsFile(string path)
    {
        try
        {
            using FileStream opened = File.OpenRead(path);
            return true;
        }
        catch (IOException)
        {
            // ENXIO: sockets cannot be opened.
            return false;
        }
    }
}
