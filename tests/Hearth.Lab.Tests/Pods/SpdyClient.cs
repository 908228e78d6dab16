using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using System.Threading.Channels;

namespace Hearth.Lab.Tests.Pods;

/// <summary>
/// As much of SPDY/3.1 as kubectl and crictl use: streams with headers, data both ways, half-close, pings answered. Written
/// from the draft (draft-mbelshe-httpbis-spdy-00 with 3.1's flow control), and independent of what the daemon does.
/// Headers are sent in stored deflate blocks, which a zlib reader with SPDY's dictionary takes like any others; headers that
/// come are not looked into.
/// </summary>
internal sealed class SpdyClient : IAsyncDisposable
{
    // Adler-32 of the dictionary of draft 3, §2.6.10.1.
    private const uint DictionaryId = 0xe3c6a7c2;

    private readonly Stream _stream;
    private readonly SemaphoreSlim _sending = new(1);
    private readonly ConcurrentDictionary<uint, Channel<byte[]>> _incoming = new();
    private readonly ConcurrentDictionary<uint, TaskCompletionSource> _replies = new();
    private readonly Task _reading;
    private uint _next = 1;
    private bool _headersBegun;

    /// <param name="stream">An upgraded connection, or a WebSocket that carries one.</param>
    public SpdyClient(Stream stream)
    {
        _stream = stream;
        _reading = Task.Run(ReadAsync);
    }

    /// <summary>POSTs an Upgrade to <paramref name="url"/>; the subprotocol is offered in X-Stream-Protocol-Version.</summary>
    public static async Task<SpdyClient> ConnectAsync(Uri url, string protocol)
    {
        (Stream stream, string head) = await UpgradeAsync(url, "POST", $"Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: {protocol}\r\nContent-Length: 0\r\n");
        Assert.Contains($"X-Stream-Protocol-Version: {protocol}", head, StringComparison.OrdinalIgnoreCase);
        return new SpdyClient(stream);
    }

    /// <summary>Opens a WebSocket that carries SPDY. By hand, as .NET's client takes no subprotocol with a slash in its name.</summary>
    public static async Task<SpdyClient> TunnelAsync(Uri url, string protocol)
    {
        (Stream stream, string head) = await UpgradeAsync(
            url, "GET", $"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {Convert.ToBase64String(new byte[16])}\r\nSec-WebSocket-Protocol: {protocol}\r\n");
        Assert.Contains($"Sec-WebSocket-Protocol: {protocol}", head, StringComparison.OrdinalIgnoreCase);
        WebSocket socket = WebSocket.CreateFromStream(stream, new WebSocketCreationOptions());
        return new SpdyClient(WebSocketStream.Create(socket, WebSocketMessageType.Binary, ownsWebSocket: true));
    }

    /// <summary>Opens a stream and waits for its reply.</summary>
    public async Task<uint> OpenAsync(params (string Name, string Value)[] headers)
    {
        await _sending.WaitAsync();
        uint id = _next;
        _next += 2;
        try
        {
            _incoming[id] = Channel.CreateUnbounded<byte[]>();
            _replies[id] = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var body = new MemoryStream();
            WriteUInt32(body, id);
            WriteUInt32(body, 0);
            body.Write([0, 0]);
            WriteHeaders(body, headers);
            await SendControlAsync(1, 0, body.ToArray());
        }
        finally
        {
            _sending.Release();
        }

        await _replies[id].Task.WaitAsync(TimeSpan.FromSeconds(120));
        return id;
    }

    public async Task SendAsync(uint id, ReadOnlyMemory<byte> data, bool last = false)
    {
        byte[] header = new byte[8];
        BinaryPrimitives.WriteUInt32BigEndian(header, id);
        BinaryPrimitives.WriteUInt32BigEndian(header.AsSpan(4), (uint)data.Length | (last ? 1u << 24 : 0));
        await _sending.WaitAsync();
        try
        {
            await _stream.WriteAsync(header);
            await _stream.WriteAsync(data);
            await _stream.FlushAsync();
        }
        finally
        {
            _sending.Release();
        }
    }

    /// <summary>Everything up to the end of a stream.</summary>
    public async Task<string> ReadToEndAsync(uint id)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(150));
        var all = new MemoryStream();
        await foreach (byte[] part in _incoming[id].Reader.ReadAllAsync(limit.Token))
        {
            all.Write(part);
        }

        return Encoding.UTF8.GetString(all.ToArray());
    }

    /// <summary>What comes next on a stream; at least one byte.</summary>
    public async Task<string> ReadAsync(uint id)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(150));
        return Encoding.UTF8.GetString(await _incoming[id].Reader.ReadAsync(limit.Token));
    }

    public async ValueTask DisposeAsync()
    {
        await _stream.DisposeAsync();
        await _reading;
        _sending.Dispose();
    }

    private static async Task<(Stream Stream, string Head)> UpgradeAsync(Uri url, string method, string headers)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(url.Host, url.Port);
        var stream = new NetworkStream(socket, ownsSocket: true);
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"{method} {url.PathAndQuery} HTTP/1.1\r\nHost: {url.Authority}\r\nConnection: Upgrade\r\n{headers}\r\n"));
        var head = new StringBuilder();
        byte[] one = new byte[1];
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal) && await stream.ReadAsync(one) == 1)
        {
            head.Append((char)one[0]);
        }

        Assert.StartsWith("HTTP/1.1 101", head.ToString(), StringComparison.Ordinal);
        return (stream, head.ToString());
    }

    private static void WriteUInt32(Stream stream, uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        stream.Write(bytes);
    }

    private void WriteHeaders(MemoryStream body, (string Name, string Value)[] headers)
    {
        var plain = new MemoryStream();
        WriteUInt32(plain, (uint)headers.Length);
        foreach ((string name, string value) in headers)
        {
            foreach (string text in new[] { name, value })
            {
                WriteUInt32(plain, (uint)text.Length);
                plain.Write(Encoding.ASCII.GetBytes(text));
            }
        }

        if (!_headersBegun)
        {
            // Deflate, 32 KiB, with a preset dictionary; the sum of both bytes is a multiple of 31.
            body.Write([0x78, 0xbb]);
            WriteUInt32(body, DictionaryId);
            _headersBegun = true;
        }

        ushort length = (ushort)plain.Length;
        body.Write([0, (byte)length, (byte)(length >> 8), (byte)~length, (byte)(~length >> 8)]);
        body.Write(plain.ToArray());
    }

    private async Task SendControlAsync(ushort type, byte flags, byte[] body)
    {
        byte[] header = new byte[8];
        BinaryPrimitives.WriteUInt16BigEndian(header, 0x8003);
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(2), type);
        BinaryPrimitives.WriteUInt32BigEndian(header.AsSpan(4), (uint)body.Length | ((uint)flags << 24));
        await _stream.WriteAsync(header);
        await _stream.WriteAsync(body);
        await _stream.FlushAsync();
    }

    private async Task ReadAsync()
    {
        byte[] header = new byte[8];
        try
        {
            while (true)
            {
                await _stream.ReadExactlyAsync(header);
                uint first = BinaryPrimitives.ReadUInt32BigEndian(header);
                uint second = BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(4));
                byte[] body = new byte[second & 0xffffff];
                await _stream.ReadExactlyAsync(body);
                await HandleAsync(first, (byte)(second >> 24), body);
            }
        }
        catch (Exception error) when (error is IOException or ObjectDisposedException or SocketException)
        {
            foreach (Channel<byte[]> channel in _incoming.Values)
            {
                channel.Writer.TryComplete();
            }
        }
    }

    private async Task HandleAsync(uint first, byte flags, byte[] body)
    {
        if (first >> 31 == 0)
        {
            if (body.Length > 0)
            {
                _incoming[first].Writer.TryWrite(body);
                await UpdateWindowsAsync(first, body.Length);
            }

            if ((flags & 1) != 0)
            {
                _incoming[first].Writer.TryComplete();
            }

            return;
        }

        uint id = body.Length >= 4 ? BinaryPrimitives.ReadUInt32BigEndian(body) & 0x7fffffff : 0;
        switch (first & 0xffff)
        {
            case 2 when _replies.TryGetValue(id, out TaskCompletionSource? reply):
                reply.TrySetResult();
                if ((flags & 1) != 0)
                {
                    _incoming[id].Writer.TryComplete();
                }

                break;
            case 3 when _incoming.TryGetValue(id, out Channel<byte[]>? channel):
                channel.Writer.TryComplete();
                break;
            case 6 when id % 2 == 0:
                await _sending.WaitAsync();
                await SendControlAsync(6, 0, body);
                _sending.Release();
                break;
        }
    }

    // Of the stream and of the connection, which is stream 0.
    private async Task UpdateWindowsAsync(uint id, int length)
    {
        await _sending.WaitAsync();
        try
        {
            foreach (uint stream in new[] { id, 0u })
            {
                var body = new MemoryStream();
                WriteUInt32(body, stream);
                WriteUInt32(body, (uint)length);
                await SendControlAsync(9, 0, body.ToArray());
            }
        }
        finally
        {
            _sending.Release();
        }
    }
}
