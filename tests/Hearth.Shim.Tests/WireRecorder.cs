using System.Buffers.Binary;
using System.Net.Sockets;

namespace Hearth.Shim.Tests;

/// <summary>
/// Stands between a client and the shim, and keeps in which order the shim's frames came: a client's own tasks end in any order. Source:
/// containerd/ttrpc PROTOCOL.md, ten bytes before each payload.
/// </summary>
internal sealed class WireRecorder : IAsyncDisposable
{
    private const int HeaderSize = 10;

    private readonly Socket _listener;
    private readonly string _shim;
    private readonly CancellationTokenSource _end = new();
    private readonly List<byte> _types = [];
    private readonly Task _serving;

    /// <param name="path">Of its own socket.</param>
    /// <param name="shim">Of the shim's.</param>
    public WireRecorder(string path, string shim)
    {
        _listener = ShimUnderTest.Listen(path);
        _shim = shim;
        _serving = ServeAsync();
    }

    /// <summary>The types of the frames that have passed: 2 an answer, 3 a stream's message.</summary>
    public byte[] Types
    {
        get
        {
            lock (_types)
            {
                return [.. _types];
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        _listener.Dispose();
        await _serving;
        _end.Dispose();
    }

    private async Task ServeAsync()
    {
        try
        {
            using var client = new NetworkStream(await _listener.AcceptAsync(_end.Token), ownsSocket: true);
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(_shim), _end.Token);
            using var shim = new NetworkStream(socket, ownsSocket: true);
            // One of the two goes, or the test is over: either ends both.
            await Task.WhenAny(client.CopyToAsync(shim, _end.Token), RecordAsync(shim, client));
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException)
        {
            // The test was over before.
        }
    }

    private async Task RecordAsync(NetworkStream shim, NetworkStream client)
    {
        byte[] header = new byte[HeaderSize];
        while (true)
        {
            await shim.ReadExactlyAsync(header, _end.Token);
            byte[] payload = new byte[BinaryPrimitives.ReadUInt32BigEndian(header)];
            await shim.ReadExactlyAsync(payload, _end.Token);
            lock (_types)
            {
                _types.Add(header[8]);
            }

            await client.WriteAsync((byte[])[.. header, .. payload], _end.Token);
        }
    }
}
