using System.Net.Sockets;

namespace Hearth.Ttrpc.Tests;

/// <summary>Two connected streams: what a client and a server hold of one connection.</summary>
internal static class DuplexPipe
{
    public static (NetworkStream Near, NetworkStream Far) Create()
    {
        string path = Path.Combine(Path.GetTempPath(), $"hearth-ttrpc-{Guid.NewGuid():N}");
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        var address = new UnixDomainSocketEndPoint(path);
        listener.Bind(address);
        listener.Listen();
        var near = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        near.Connect(address);
        Socket far = listener.Accept();
        File.Delete(path);
        return (new NetworkStream(near, ownsSocket: true), new NetworkStream(far, ownsSocket: true));
    }
}
