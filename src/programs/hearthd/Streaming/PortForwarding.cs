using System.Globalization;
using System.Net.WebSockets;
using System.Text;
using Hearth.Linux;
using Hearth.Programs.Daemon.Spdy;

namespace Hearth.Programs.Daemon.Streaming;

/// <summary>
/// A client of port-forward. Each of its connections is a pair: data, and an error stream on which a text says what went wrong.
/// </summary>
internal sealed class PortForwarding(IStreamingTarget target, PortForwardStreaming request)
{
    /// <summary>The one version of the protocol over SPDY.</summary>
    public const string Protocol = "portforward.k8s.io";

    /// <summary>The subprotocol of a WebSocket that carries SPDY.</summary>
    public const string Tunnelled = "SPDY/3.1+portforward.k8s.io";

    // The most ports of a WebSocket without SPDY: two channels each, in one byte.
    private const int MaxPorts = 64;

    /// <summary>Serves a client that opens pairs of streams as it needs them, until it goes.</summary>
    /// <exception cref="SpdyException">It does not keep to the protocol.</exception>
    public async Task ServeSpdyAsync(Stream transport, CancellationToken cancellation)
    {
        // Of both, on the reading thread only: what waits for its other half, and what runs.
        var halves = new Dictionary<string, SpdyStream>();
        var connections = new List<Task>();
        SpdyConnection? connection = null;
        connection = new SpdyConnection(transport, stream =>
        {
            connections.RemoveAll(static task => task.IsCompleted);
            return Accept(stream, halves, connections, connection!);
        });
        await using (connection.ConfigureAwait(false))
        {
            try
            {
                await connection.RunAsync(cancellation).ConfigureAwait(false);
            }
            finally
            {
                await Task.WhenAll(connections).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Serves a client with a pair of channels for each port it named, until all have ended or it goes.</summary>
    public async Task ServeChannelsAsync(WebSocket socket, IReadOnlyList<int> ports, CancellationToken cancellation)
    {
        var channels = new WebSocketChannels(socket, 2 * ports.Count, closesChannels: false);
        await using (channels.ConfigureAwait(false))
        {
            Task reading = channels.RunAsync(cancellation);
            await Task.WhenAll(ports.Select(async (port, i) =>
            {
                WebSocketChannel data = channels[2 * i];
                WebSocketChannel error = channels[(2 * i) + 1];
                error.Input.Discard();
                // The port, little-endian, is the first message of each channel.
                byte[] hello = [(byte)port, (byte)(port >> 8)];
                await data.WriteAsync(hello, channels.Closed).ConfigureAwait(false);
                await error.WriteAsync(hello, channels.Closed).ConfigureAwait(false);
                await ForwardAsync(data, error, port, channels.Closed).ConfigureAwait(false);
            })).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await channels.CloseAsync().ConfigureAwait(false);
            await reading.ConfigureAwait(false);
        }
    }

    /// <summary>Reads the ports of a WebSocket's URL, or takes those of the request.</summary>
    /// <returns>Null if they are none, too many, or not the request's.</returns>
    public IReadOnlyList<int>? ChoosePorts(IReadOnlyList<string?> asked)
    {
        if (asked.Count == 0)
        {
            return request.Ports.Count is > 0 and <= MaxPorts ? request.Ports : null;
        }

        var ports = new List<int>();
        foreach (string? text in asked.SelectMany(static value => (value ?? "").Split(',')))
        {
            if (!TryPort(text, out int port) || ports.Count == MaxPorts)
            {
                return null;
            }

            ports.Add(port);
        }

        return ports;
    }

    private bool Accept(SpdyStream stream, Dictionary<string, SpdyStream> halves, List<Task> connections, SpdyConnection connection)
    {
        if (!stream.Headers.TryGetValue("port", out string? portText) || !TryPort(portText, out int port)
            || !stream.Headers.TryGetValue("requestid", out string? id)
            || !stream.Headers.TryGetValue("streamtype", out string? type) || type is not ("data" or "error"))
        {
            return false;
        }

        string other = $"{(type == "data" ? "error" : "data")} {id} {port}";
        string own = $"{type} {id} {port}";
        if (!halves.Remove(other, out SpdyStream? half))
        {
            // Halves of streams that were reset stay: what bounds streams does not bound them.
            return halves.Count < SpdyConnection.MaxStreams && halves.TryAdd(own, stream);
        }

        (SpdyStream data, SpdyStream error) = type == "data" ? (stream, half) : (half, stream);
        error.Discard();
        // Not on this thread: the reply to the stream goes first.
        connections.Add(Task.Run(() => ForwardAsync(data, error, port, connection.Closed)));
        return true;
    }

    private bool TryPort(string? text, out int port) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out port) && port is > 0 and <= 65535
        && (request.Ports.Count == 0 || request.Ports.Contains(port));

    private async Task ForwardAsync(DuplexStream data, DuplexStream error, int port, CancellationToken clientGone)
    {
        try
        {
            try
            {
                using DuplexStream pod = await target.ConnectAsync(request.PodSandboxId, port, clientGone).ConfigureAwait(false);
                await Relay.RunAsync(data, pod, clientGone).ConfigureAwait(false);
            }
            catch (Exception e) when (e is HearthException or IOException)
            {
                await error.WriteAsync(Encoding.UTF8.GetBytes($"error forwarding port {port} to pod {request.PodSandboxId}: {e.Message}"), clientGone).ConfigureAwait(false);
            }

            (data as SpdyStream)?.Discard();
            (data as WebSocketChannel)?.Input.Discard();
            await data.CompleteWritesAsync(clientGone).ConfigureAwait(false);
            await error.CompleteWritesAsync(clientGone).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // The client is gone, and its connections with it.
        }
    }
}
