using System.Net.Sockets;
using System.Text;
using Hearth.Configuration;
using Hearth.Daemon.Tests.Spdy;
using Hearth.Programs.Daemon.Streaming;
using Microsoft.Extensions.Logging.Abstractions;

namespace Hearth.Daemon.Tests.Streaming;

/// <summary>The real streaming server, in this process, in front of processes and ports that a test says.</summary>
internal sealed class StreamingBench : IStreamingTarget, IAsyncDisposable
{
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(120);

    private StreamingServer? _server;

    public StreamingServer Server => _server!;

    public ManualTime Time { get; } = new();

    public Func<ExecStreaming, CommandStreams, CancellationToken, Task<int>> Exec { get; set; } = static (_, _, _) => Task.FromResult(0);

    public Func<AttachStreaming, CommandStreams, CancellationToken, Task> Attach { get; set; } = static (_, _, _) => Task.CompletedTask;

    public Func<int, CancellationToken, Task<DuplexStream>> Connect { get; set; } = static (_, _) => throw new IOException("nobody listens");

    public static async Task<StreamingBench> StartAsync(DaemonConfig? config = null)
    {
        var bench = new StreamingBench();
        bench._server = await StreamingServer.StartAsync(config ?? new DaemonConfig(), bench, bench.Time, NullLoggerFactory.Instance);
        return bench;
    }

    public string Publish(StreamingRequest request) => Server.Publish(request)!;

    public static ExecStreaming ExecRequest(bool stdin = false, bool tty = false) =>
        new() { ContainerId = "c", Command = ["x"], Stdin = stdin, Stdout = true, Stderr = !tty, Tty = tty };

    /// <summary>Sends a request, and gives what was answered, and the connection behind it.</summary>
    public static async Task<(int Status, Dictionary<string, string> Headers, Stream Connection)> RequestAsync(string url, params string[] headers) =>
        await RequestAsync("POST", url, headers);

    public static async Task<(int Status, Dictionary<string, string> Headers, Stream Connection)> RequestAsync(string method, string url, string[] headers)
    {
        var uri = new Uri(url);
        var socket = new TcpClient();
        await socket.ConnectAsync(uri.Host, uri.Port);
        Stream stream = socket.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(
            $"{method} {uri.PathAndQuery} HTTP/1.1\r\nHost: {uri.Authority}\r\nContent-Length: 0\r\n{string.Concat(headers.Select(static header => header + "\r\n"))}\r\n"));
        // Byte by byte: what follows the header belongs to the upgraded connection.
        var text = new StringBuilder();
        var one = new byte[1];
        while (!text.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            await stream.ReadExactlyAsync(one).AsTask().WaitAsync(Deadline);
            text.Append((char)one[0]);
        }

        string[] lines = text.ToString().Split("\r\n", StringSplitOptions.RemoveEmptyEntries);
        return (int.Parse(lines[0].Split(' ')[1]), lines.Skip(1).Select(static line => line.Split(": ", 2)).ToDictionary(static pair => pair[0], static pair => pair[1], StringComparer.OrdinalIgnoreCase), stream);
    }

    /// <summary>Upgrades to SPDY as Kubernetes' clients do.</summary>
    public static async Task<SpdyClient> SpdyAsync(string url, string protocols = "v4.channel.k8s.io")
    {
        var (status, headers, connection) = await RequestAsync(url, "Connection: Upgrade", "Upgrade: SPDY/3.1", $"X-Stream-Protocol-Version: {protocols}");
        Assert.Equal(101, status);
        Assert.Equal("SPDY/3.1", headers["Upgrade"]);
        Assert.Equal(protocols.Split(',')[0], headers["X-Stream-Protocol-Version"]);
        return new SpdyClient(connection);
    }

    public async ValueTask DisposeAsync() => await Server.DisposeAsync();

    Task<int> IStreamingTarget.ExecAsync(ExecStreaming request, CommandStreams streams, CancellationToken clientGone) => Exec(request, streams, clientGone);

    Task IStreamingTarget.AttachAsync(AttachStreaming request, CommandStreams streams, CancellationToken clientGone) => Attach(request, streams, clientGone);

    Task<DuplexStream> IStreamingTarget.ConnectAsync(string podSandboxId, int port, CancellationToken clientGone) => Connect(port, clientGone);

    /// <summary>A clock that a test moves.</summary>
    internal sealed class ManualTime : TimeProvider
    {
        private long _ticks;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Interlocked.Read(ref _ticks);

        public void Advance(TimeSpan time) => Interlocked.Add(ref _ticks, time.Ticks);
    }
}
