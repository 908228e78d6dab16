using System.Buffers;
using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Hearth.Firecracker.Http;

/// <summary>
/// HTTP/1.1 over a Unix socket, as far as the API needs it: one request at a time, bodies with a length, a status line that
/// may lack its reason phrase. Not HttpClient, which alone is larger than all the rest of a program that only talks to a
/// monitor. Thread: one at a time.
/// </summary>
internal sealed class ApiConnection(string socketPath) : IDisposable
{
    private const int MaxHeadBytes = 16 << 10;
    private const int MaxBodyBytes = 16 << 20;
    private const int FirstBufferBytes = 1 << 10;

    private Socket? _socket;
    private bool _hasAnswer;

    /// <summary>Sends a request and reads its answer.</summary>
    /// <param name="method">GET, PUT or PATCH.</param>
    /// <param name="path">With its slash, escaped.</param>
    /// <param name="body">JSON; empty for none.</param>
    /// <param name="cancellation">Closes the connection: whether the monitor acted is then not known.</param>
    /// <exception cref="IOException">The connection ended before the answer did, or that is no HTTP.</exception>
    /// <exception cref="SocketException">Nobody listens.</exception>
    public async Task<ApiResponse> SendAsync(string method, string path, ReadOnlyMemory<byte> body, CancellationToken cancellation)
    {
        bool reused = _socket is not null;
        _hasAnswer = false;
        try
        {
            try
            {
                return await ExchangeAsync(method, path, body, cancellation).ConfigureAwait(false);
            }
            catch (Exception e) when (e is SocketException or IOException && reused && !_hasAnswer)
            {
                // Closed while the request was on its way: nobody has read it.
                Dispose();
                return await ExchangeAsync(method, path, body, cancellation).ConfigureAwait(false);
            }
        }
        catch
        {
            // What is left of the answer must not be taken for the next one's.
            Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        _socket?.Dispose();
        _socket = null;
    }

    private async Task<ApiResponse> ExchangeAsync(string method, string path, ReadOnlyMemory<byte> body, CancellationToken cancellation)
    {
        Socket socket = await OpenAsync(cancellation).ConfigureAwait(false);
        await WriteAsync(socket, method, path, body, cancellation).ConfigureAwait(false);
        return await ReadAsync(socket, cancellation).ConfigureAwait(false);
    }

    private async Task<Socket> OpenAsync(CancellationToken cancellation)
    {
        // Readable without being asked: the monitor has closed it, or says something that is no answer.
        if (_socket is { } open && open.Poll(0, SelectMode.SelectRead))
        {
            Dispose();
        }

        if (_socket is null)
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            _socket = socket;
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(socketPath), cancellation).ConfigureAwait(false);
        }

        return _socket;
    }

    private static async Task WriteAsync(Socket socket, string method, string path, ReadOnlyMemory<byte> body, CancellationToken cancellation)
    {
        string head = $"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n";
        if (body.Length > 0)
        {
            head += string.Create(CultureInfo.InvariantCulture, $"Content-Type: application/json\r\nContent-Length: {body.Length}\r\n");
        }

        byte[] request = new byte[head.Length + 2 + body.Length];
        Encoding.ASCII.GetBytes(head + "\r\n", request);
        body.CopyTo(request.AsMemory(head.Length + 2));
        ReadOnlyMemory<byte> rest = request;
        while (rest.Length > 0)
        {
            rest = rest[await socket.SendAsync(rest, SocketFlags.None, cancellation).ConfigureAwait(false)..];
        }
    }

    private async Task<ApiResponse> ReadAsync(Socket socket, CancellationToken cancellation)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(FirstBufferBytes);
        try
        {
            int filled = 0;
            while (true)
            {
                int headEnd = buffer.AsSpan(0, filled).IndexOf("\r\n\r\n"u8);
                if (headEnd < 0)
                {
                    if (filled == buffer.Length)
                    {
                        buffer = filled < MaxHeadBytes ? Grow(buffer, filled, filled * 2) : throw new IOException("The answer's headers have no end.");
                    }

                    filled += await ReceiveAsync(socket, buffer.AsMemory(filled), cancellation).ConfigureAwait(false);
                    continue;
                }

                ResponseHead head = ResponseHead.Parse(buffer.AsSpan(0, headEnd));
                int bodyStart = headEnd + 4;
                if (head.Status is >= 100 and < 200)
                {
                    buffer.AsSpan(bodyStart, filled - bodyStart).CopyTo(buffer);
                    filled -= bodyStart;
                    continue;
                }

                if (head.ContentLength > MaxBodyBytes || filled - bodyStart > head.ContentLength)
                {
                    throw new IOException($"The answer's body is not of the length it says ({head.ContentLength} bytes), or too long.");
                }

                byte[] body = new byte[head.ContentLength];
                int got = filled - bodyStart;
                buffer.AsSpan(bodyStart, got).CopyTo(body);
                while (got < body.Length)
                {
                    got += await ReceiveAsync(socket, body.AsMemory(got), cancellation).ConfigureAwait(false);
                }

                if (head.Closes)
                {
                    Dispose();
                }

                return new ApiResponse(head.Status, body);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private async ValueTask<int> ReceiveAsync(Socket socket, Memory<byte> destination, CancellationToken cancellation)
    {
        int count = await socket.ReceiveAsync(destination, SocketFlags.None, cancellation).ConfigureAwait(false);
        _hasAnswer |= count > 0;
        return count > 0 ? count : throw new IOException("The monitor closed the connection before it had answered.");
    }

    private static byte[] Grow(byte[] buffer, int filled, int length)
    {
        byte[] larger = ArrayPool<byte>.Shared.Rent(length);
        buffer.AsSpan(0, filled).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(buffer);
        return larger;
    }
}
