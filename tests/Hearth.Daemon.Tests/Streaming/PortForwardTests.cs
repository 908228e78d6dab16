using System.Net.WebSockets;
using System.Text;
using Hearth.Daemon.Tests.Spdy;
using Hearth.Programs.Daemon.Streaming;

namespace Hearth.Daemon.Tests.Streaming;

/// <summary>Port-forwarding over SPDY, SPDY in a WebSocket, and a WebSocket's channels.</summary>
public class PortForwardTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Connections_of_several_ports_run_side_by_side_and_end_by_halves(bool tunnelled)
    {
        await using StreamingBench bench = await StreamingBench.StartAsync();
        bench.Connect = static (port, _) => Task.FromResult(Shouting(port));
        await using SpdyClient client = await ConnectAsync(bench, tunnelled);

        var pairs = new List<(SpdyClient.ClientStream Data, SpdyClient.ClientStream Error)>();
        for (int i = 0; i < 4; i++)
        {
            var error = await OpenAsync(client, "error", 8000 + i, i);
            await error.WriteAsync(ReadOnlyMemory<byte>.Empty, fin: true);
            pairs.Add((await OpenAsync(client, "data", 8000 + i, i), error));
        }

        for (int i = 3; i >= 0; i--)
        {
            // The end of what is sent is told to the pod, whose answer still comes.
            await pairs[i].Data.WriteAsync("hello"u8.ToArray(), fin: true);
            Assert.Equal($"{8000 + i}: HELLO", Encoding.ASCII.GetString(await pairs[i].Data.ReadToEndAsync()));
            Assert.Empty(await pairs[i].Error.ReadToEndAsync());
            await pairs[i].Data.ResetAsync();
        }
    }

    [Fact]
    public async Task A_port_where_nobody_listens_is_told_on_the_error_stream_and_the_connection_lives_on()
    {
        await using StreamingBench bench = await StreamingBench.StartAsync();
        bench.Connect = static (port, _) => port == 80 ? Task.FromResult(Shouting(port)) : throw new IOException("nobody listens");
        await using SpdyClient client = await ConnectAsync(bench, tunnelled: false);

        var error = await OpenAsync(client, "error", 81, 1);
        var data = await OpenAsync(client, "data", 81, 1);
        Assert.Equal("error forwarding port 81 to pod p: nobody listens", Encoding.UTF8.GetString(await error.ReadToEndAsync()));
        Assert.Empty(await data.ReadToEndAsync());

        await OpenAsync(client, "error", 80, 2);
        data = await OpenAsync(client, "data", 80, 2);
        await data.WriteAsync("x"u8.ToArray(), fin: true);
        Assert.Equal("80: X", Encoding.ASCII.GetString(await data.ReadToEndAsync()));
    }

    [Fact]
    public async Task Ports_that_were_not_asked_for_over_CRI_and_streams_that_say_too_little_are_refused()
    {
        await using StreamingBench bench = await StreamingBench.StartAsync();
        await using SpdyClient client = await StreamingBench.SpdyAsync(
            bench.Publish(new PortForwardStreaming { PodSandboxId = "p", Ports = [80] }), PortForwarding.Protocol);

        foreach ((string, string)[] headers in new (string, string)[][]
        {
            [("streamtype", "data"), ("port", "81"), ("requestid", "1")],
            [("streamtype", "data"), ("port", "0"), ("requestid", "1")],
            [("streamtype", "data"), ("port", "65536"), ("requestid", "1")],
            [("streamtype", "data"), ("port", "-80"), ("requestid", "1")],
            [("streamtype", "data"), ("port", "80")],
            [("streamtype", "stdin"), ("port", "80"), ("requestid", "1")],
            [("port", "80"), ("requestid", "1")],
        })
        {
            var refused = await client.OpenAsync(headers);
            Assert.False(await refused.Accepted.Task.WaitAsync(StreamingBench.Deadline));
        }

        Assert.NotNull(await OpenAsync(client, "data", 80, 1));
        // The same half twice.
        var again = await client.OpenAsync(("streamtype", "data"), ("port", "80"), ("requestid", "1"));
        Assert.False(await again.Accepted.Task.WaitAsync(StreamingBench.Deadline));
    }

    [Fact]
    public async Task Channels_of_a_WebSocket_begin_with_their_port()
    {
        await using StreamingBench bench = await StreamingBench.StartAsync();
        bench.Connect = static (port, _) => port == 8080 ? Task.FromResult(Shouting(port)) : throw new IOException("nobody listens");
        string url = bench.Publish(new PortForwardStreaming { PodSandboxId = "p" });
        using ClientWebSocket socket = await WebSocketTests.ConnectAsync(url + "?port=8080&port=81", "v4.channel.k8s.io");

        // Upper-cased as it comes: this WebSocket has no word for the end of what is sent.
        await WebSocketTests.SendAsync(socket, [0, .. "hello."u8]);
        Dictionary<byte, string> heard = await WebSocketTests.HearAsync(socket);

        Assert.Equal("\u0090\u001f8080: HELLO.", heard[0]);
        Assert.Equal("\u0090\u001f", heard[1]);
        Assert.Equal("Q\0", heard[2]);
        Assert.Equal("Q\0error forwarding port 81 to pod p: nobody listens", heard[3]);
    }

    /// <summary>A server in the pod: says its port, then what it hears in capitals, until it hears a full stop or the end.</summary>
    private static DuplexStream Shouting(int port)
    {
        (LoopStream one, LoopStream other) = LoopStream.Pair();
        _ = Task.Run(async () =>
        {
            await other.WriteAsync(Encoding.ASCII.GetBytes($"{port}: "));
            var buffer = new byte[100];
            int count;
            while ((count = await other.ReadAsync(buffer)) > 0)
            {
                string text = Encoding.ASCII.GetString(buffer, 0, count).ToUpperInvariant();
                await other.WriteAsync(Encoding.ASCII.GetBytes(text));
                if (text.EndsWith('.'))
                {
                    break;
                }
            }

            await other.CompleteWritesAsync();
        });
        return one;
    }

    private static async Task<SpdyClient> ConnectAsync(StreamingBench bench, bool tunnelled)
    {
        string url = bench.Publish(new PortForwardStreaming { PodSandboxId = "p" });
        if (!tunnelled)
        {
            return await StreamingBench.SpdyAsync(url, PortForwarding.Protocol);
        }

        // By hand: .NET's client refuses the slash in the name. Key and answer are RFC 6455's example.
        var (status, headers, connection) = await StreamingBench.RequestAsync(
            "GET", url, ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", $"Sec-WebSocket-Protocol: {PortForwarding.Tunnelled}"]);
        Assert.Equal((101, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", PortForwarding.Tunnelled), (status, headers["Sec-WebSocket-Accept"], headers["Sec-WebSocket-Protocol"]));
        return new SpdyClient(new WebSocketBytes(WebSocket.CreateFromStream(connection, new WebSocketCreationOptions())));
    }

    private static Task<SpdyClient.ClientStream> OpenAsync(SpdyClient client, string type, int port, int request) =>
        client.OpenedAsync(("streamtype", type), ("port", $"{port}"), ("requestid", $"{request}"));
}
