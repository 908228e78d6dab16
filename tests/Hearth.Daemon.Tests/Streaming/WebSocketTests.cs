using System.Net.WebSockets;
using System.Text;
using Hearth.Programs.Daemon.Streaming;

namespace Hearth.Daemon.Tests.Streaming;

/// <summary>Exec over WebSockets.</summary>
public class WebSocketTests
{
    [Theory]
    [InlineData("v4.channel.k8s.io")]
    [InlineData("v5.channel.k8s.io")]
    public async Task Exec_carries_output_and_the_exit_code_by_channel(string protocol)
    {
        await using StreamingBench bench = await StreamingBench.StartAsync();
        bench.Exec = static async (_, streams, _) =>
        {
            await streams.Stdout!.WriteAsync("out"u8.ToArray());
            await streams.Stderr!.WriteAsync("err"u8.ToArray());
            return 0;
        };
        using ClientWebSocket socket = await ConnectAsync(bench.Publish(StreamingBench.ExecRequest()), protocol);

        Dictionary<byte, string> heard = await HearAsync(socket);

        Assert.Equal("out", heard[1]);
        Assert.Equal("err", heard[2]);
        Assert.Contains("\"Success\"", heard[3], StringComparison.Ordinal);
        Assert.Equal(WebSocketCloseStatus.NormalClosure, socket.CloseStatus);
    }

    [Fact]
    public async Task V5_ends_the_input_by_a_message_on_channel_255()
    {
        await using StreamingBench bench = await StreamingBench.StartAsync();
        bench.Exec = static async (_, streams, _) =>
        {
            await streams.Stdin!.CopyToAsync(streams.Stdout!);
            return 7;
        };
        using ClientWebSocket socket = await ConnectAsync(bench.Publish(StreamingBench.ExecRequest(stdin: true)), "v5.channel.k8s.io");

        await SendAsync(socket, [0, .. "in"u8]);
        // A message in fragments is one message.
        await socket.SendAsync(new byte[] { 0, (byte)'p' }, WebSocketMessageType.Binary, endOfMessage: false, default);
        await socket.SendAsync("ut"u8.ToArray(), WebSocketMessageType.Binary, endOfMessage: true, default);
        await SendAsync(socket, [255, 0]);
        // After the end: dropped.
        await SendAsync(socket, [0, .. "more"u8]);
        await SendAsync(socket, [255, 0]);

        Dictionary<byte, string> heard = await HearAsync(socket);
        Assert.Equal("input", heard[1]);
        Assert.Contains("\"7\"", heard[3], StringComparison.Ordinal);
    }

    [Fact]
    public async Task V4_ends_the_input_with_the_connection()
    {
        await using StreamingBench bench = await StreamingBench.StartAsync();
        var input = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        bench.Exec = async (_, streams, _) =>
        {
            using var reader = new StreamReader(streams.Stdin!);
            input.SetResult(await reader.ReadToEndAsync());
            return 0;
        };
        using ClientWebSocket socket = await ConnectAsync(bench.Publish(StreamingBench.ExecRequest(stdin: true)), "v4.channel.k8s.io");

        // Not v4's: dropped.
        await SendAsync(socket, [255, 0]);
        await SendAsync(socket, [0, .. "all"u8]);
        await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, default);

        Assert.Equal("all", await input.Task.WaitAsync(StreamingBench.Deadline));
    }

    [Fact]
    public async Task Sizes_of_the_terminal_come_on_channel_4_and_other_channels_are_dropped()
    {
        await using StreamingBench bench = await StreamingBench.StartAsync();
        bench.Exec = static async (_, streams, _) =>
        {
            TerminalSize size = await streams.Sizes.ReadAsync();
            await streams.Stdout!.WriteAsync(Encoding.UTF8.GetBytes($"{size.Width}x{size.Height}"));
            return 0;
        };
        using ClientWebSocket socket = await ConnectAsync(bench.Publish(StreamingBench.ExecRequest(tty: true)), "v5.channel.k8s.io");

        await SendAsync(socket, []);
        await SendAsync(socket, [9, 1, 2]);
        await SendAsync(socket, [1, 1, 2]);
        await SendAsync(socket, [255, 200]);
        await SendAsync(socket, [4, .. """{"Width":80,"Height":24}"""u8]);

        Assert.Equal("80x24", (await HearAsync(socket))[1]);
    }

    [Fact]
    public async Task A_subprotocol_that_is_not_spoken_is_refused()
    {
        await using StreamingBench bench = await StreamingBench.StartAsync();

        await Assert.ThrowsAsync<WebSocketException>(() => ConnectAsync(bench.Publish(StreamingBench.ExecRequest()), "base64.channel.k8s.io"));
    }

    internal static async Task<ClientWebSocket> ConnectAsync(string url, string protocol)
    {
        var socket = new ClientWebSocket();
        socket.Options.AddSubProtocol(protocol);
        await socket.ConnectAsync(new Uri(url.Replace("http://", "ws://")), default).WaitAsync(StreamingBench.Deadline);
        Assert.Equal(protocol, socket.SubProtocol);
        return socket;
    }

    internal static Task SendAsync(ClientWebSocket socket, byte[] message) => socket.SendAsync(message, WebSocketMessageType.Binary, endOfMessage: true, default);

    /// <summary>Everything until the server closes, by channel.</summary>
    internal static async Task<Dictionary<byte, string>> HearAsync(ClientWebSocket socket)
    {
        var heard = new Dictionary<byte, string>();
        var buffer = new byte[64 * 1024];
        while (true)
        {
            WebSocketReceiveResult received = await socket.ReceiveAsync(buffer, default).WaitAsync(StreamingBench.Deadline);
            if (received.MessageType == WebSocketMessageType.Close)
            {
                await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, default);
                return heard;
            }

            Assert.True(received.EndOfMessage);
            heard[buffer[0]] = heard.GetValueOrDefault(buffer[0], "") + Encoding.Latin1.GetString(buffer, 1, received.Count - 1);
        }
    }
}
