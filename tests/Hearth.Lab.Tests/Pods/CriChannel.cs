using System.Net.Sockets;
using Grpc.Net.Client;

namespace Hearth.Lab.Tests.Pods;

/// <summary>gRPC over a Unix socket.</summary>
internal static class CriChannel
{
    /// <param name="path">Of the socket.</param>
    public static GrpcChannel Open(string path)
    {
        var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancellation) =>
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
            },
        };
        return GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = true, MaxReceiveMessageSize = 64 << 20 });
    }
}
