using System.Net.WebSockets;
using System.Text;

namespace Hearth.Lab.Tests.Pods;

/// <summary>Exec and attach over a WebSocket, as the kubelet's streaming protocol has them: the first byte is the channel.</summary>
internal sealed class RemoteCommand : IAsyncDisposable
{
    private readonly ClientWebSocket _socket = new();
    private readonly Dictionary<byte, StringBuilder> _read = [];

    private RemoteCommand()
    {
    }

    public static async Task<RemoteCommand> ConnectAsync(string url, string protocol)
    {
        var command = new RemoteCommand();
        command._socket.Options.AddSubProtocol(protocol);
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(120));
        await command._socket.ConnectAsync(new UriBuilder(url) { Scheme = "ws" }.Uri, limit.Token);
        Assert.Equal(protocol, command._socket.SubProtocol);
        return command;
    }

    public Task SendAsync(byte channel, string text) => _socket.SendAsync((byte[])[channel, .. Encoding.UTF8.GetBytes(text)], WebSocketMessageType.Binary, endOfMessage: true, CancellationToken.None);

    /// <summary>The end of the input; only version 5 has it.</summary>
    public Task CloseInputAsync() => _socket.SendAsync((byte[])[255, 0], WebSocketMessageType.Binary, endOfMessage: true, CancellationToken.None);

    /// <summary>Reads until a channel has shown <paramref name="expected"/>.</summary>
    public async Task AwaitAsync(byte channel, string expected)
    {
        while (!Text(channel).Contains(expected, StringComparison.Ordinal))
        {
            Assert.True(await ReceiveAsync(), $"ended before '{expected}': {Text(channel)}{Text(3)}");
        }
    }

    /// <summary>All that came on a channel, once the other side has closed.</summary>
    public async Task<string> ReadToEndAsync(byte channel)
    {
        while (await ReceiveAsync())
        {
        }

        return Text(channel);
    }

    public string Text(byte channel) => _read.TryGetValue(channel, out StringBuilder? text) ? text.ToString() : "";

    public ValueTask DisposeAsync()
    {
        _socket.Dispose();
        return ValueTask.CompletedTask;
    }

    private async Task<bool> ReceiveAsync()
    {
        if (_socket.State is not (WebSocketState.Open or WebSocketState.CloseSent))
        {
            return false;
        }

        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(150));
        var message = new MemoryStream();
        byte[] buffer = new byte[65536];
        while (true)
        {
            WebSocketReceiveResult result = await _socket.ReceiveAsync(buffer, limit.Token);
            if (result.MessageType == WebSocketMessageType.Close)
            {
                return false;
            }

            message.Write(buffer, 0, result.Count);
            if (result.EndOfMessage)
            {
                break;
            }
        }

        if (message.Length > 0)
        {
            byte channel = message.GetBuffer()[0];
            if (!_read.TryGetValue(channel, out StringBuilder? text))
            {
                _read[channel] = text = new StringBuilder();
            }

            text.Append(Encoding.UTF8.GetString(message.GetBuffer(), 1, (int)message.Length - 1));
        }

        return true;
    }
}
