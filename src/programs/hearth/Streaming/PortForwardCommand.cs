using System.CommandLine;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using Grpc.Core;
using Hearth.Cri.Protocol;
using Hearth.Programs.Hearth.Daemon;
using Hearth.Programs.Hearth.Names;
using Hearth.Programs.Hearth.Output;
using Hearth.Programs.Hearth.Shell;

namespace Hearth.Programs.Hearth.Streaming;

/// <summary><c>hearth port-forward POD [LOCAL:]REMOTE…</c>: a stream of hearthd's for each connection.</summary>
internal static class PortForwardCommand
{
    private const string Protocol = "v4.channel.k8s.io";
    private const byte DataChannel = 0;
    private const byte ErrorChannel = 1;
    // Both channels begin with their port, of two bytes.
    private const int PortBytes = 2;
    private const int BlockBytes = 32 * 1024;

    public static Command Create()
    {
        var pod = new Argument<string>("POD") { Description = "A pod's name, or the beginning of its id" };
        pod.CompletionSources.Add(Suggestions.Pods);
        var ports = new Argument<string[]>("PORT") { Description = "[LOCAL:]REMOTE; a LOCAL of 0 is any free one", Arity = ArgumentArity.OneOrMore };
        var address = new Option<string>("--address") { Description = "Where it listens", HelpName = "ADDRESS", DefaultValueFactory = _ => "127.0.0.1" };
        var command = new Command("port-forward", "Makes a pod's ports this machine's, while it runs") { pod, ports, address };
        command.SetDaemonAction(async (result, daemon, cancellation) =>
        {
            if (!IPAddress.TryParse(result.GetRequiredValue(address), out IPAddress? where))
            {
                throw new CommandLineException($"\"{result.GetValue(address)}\" is no address to listen at: write 127.0.0.1, ::1 or 0.0.0.0.");
            }

            (int Local, int Remote)[] wanted = [.. result.GetRequiredValue(ports).Select(Parse)];
            PodSandbox found = await Lookup.PodAsync(daemon, result.GetRequiredValue(pod), cancellation);
            await Task.WhenAll(wanted.Select(port => ListenAsync(daemon, found.Id, where, port.Local, port.Remote, cancellation)));
        });
        return command;
    }

    internal static (int Local, int Remote) Parse(string text)
    {
        int colon = text.IndexOf(':');
        string local = colon < 0 ? text : text[..colon];
        string remote = text[(colon + 1)..];
        return int.TryParse(local.Length == 0 ? "0" : local, NumberStyles.None, CultureInfo.InvariantCulture, out int near) && near <= 65535
            && int.TryParse(remote, NumberStyles.None, CultureInfo.InvariantCulture, out int far) && far is > 0 and <= 65535
            ? (near, far)
            : throw new CommandLineException($"\"{text}\" is no port: write REMOTE or LOCAL:REMOTE, as 8080:80.");
    }

    private static async Task ListenAsync(DaemonClient daemon, string podId, IPAddress address, int local, int remote, CancellationToken cancellation)
    {
        using var listener = new TcpListener(address, local);
        try
        {
            listener.Start();
        }
        catch (SocketException e)
        {
            throw new CommandLineException($"Cannot listen at {new IPEndPoint(address, local)}: {e.Message}. Take another local port (0 is any free one).", 1, e);
        }

        Console.WriteLine($"{listener.LocalEndpoint} leads to port {remote}");
        while (true)
        {
            TcpClient client = await listener.AcceptTcpClientAsync(cancellation);
            _ = ServeAsync(daemon, podId, remote, client, cancellation);
        }
    }

    private static async Task ServeAsync(DaemonClient daemon, string podId, int port, TcpClient client, CancellationToken cancellation)
    {
        using TcpClient held = client;
        try
        {
            var request = new PortForwardRequest { PodSandboxId = podId };
            request.Port.Add(port);
            PortForwardResponse where = await daemon.Runtime.PortForwardAsync(request, cancellationToken: cancellation);
            // A plain CRI server learns the port from the query, one with tokens from the call.
            using ClientWebSocket socket = await StreamSocket.OpenAsync($"{where.Url}{(where.Url.Contains('?') ? '&' : '?')}port={port}", [Protocol], cancellation);
            using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            NetworkStream stream = client.GetStream();
            Task up = SendAsync(stream, socket, over.Token);
            await await Task.WhenAny(up, ReceiveAsync(socket, stream, port, over.Token));
            await StreamSocket.CloseAsync(socket);
            await over.CancelAsync();
        }
        catch (Exception e) when (e is RpcException or CommandLineException or IOException or SocketException or WebSocketException or OperationCanceledException)
        {
            if (!cancellation.IsCancellationRequested)
            {
                Console.Error.WriteLine($"hearth: a connection to port {port} ended: {Humane.Printable(e is RpcException failure ? DaemonClient.Explain(failure) : e.Message)}");
            }
        }
    }

    private static async Task SendAsync(NetworkStream stream, ClientWebSocket socket, CancellationToken cancellation)
    {
        var block = new byte[BlockBytes];
        block[0] = DataChannel;
        while (await stream.ReadAsync(block.AsMemory(1), cancellation) is > 0 and int read)
        {
            await socket.SendAsync(block.AsMemory(0, read + 1), WebSocketMessageType.Binary, endOfMessage: true, cancellation);
        }

        // The client has said all. This protocol has no word for that: wait for the answer's end.
        await Task.Delay(Timeout.Infinite, cancellation);
    }

    private static async Task ReceiveAsync(ClientWebSocket socket, NetworkStream stream, int port, CancellationToken cancellation)
    {
        var block = new byte[BlockBytes];
        int[] toSkip = [PortBytes, PortBytes];
        byte? channel = null;
        while (true)
        {
            ValueWebSocketReceiveResult received = await socket.ReceiveAsync(block.AsMemory(), cancellation);
            if (received.MessageType == WebSocketMessageType.Close)
            {
                return;
            }

            ReadOnlyMemory<byte> data = block.AsMemory(0, received.Count);
            if (channel is null && data.Length > 0)
            {
                channel = data.Span[0];
                data = data[1..];
            }

            if (channel is DataChannel or ErrorChannel)
            {
                int skipped = Math.Min(toSkip[channel.Value], data.Length);
                toSkip[channel.Value] -= skipped;
                data = data[skipped..];
            }

            if (channel == DataChannel && data.Length > 0)
            {
                await stream.WriteAsync(data, cancellation);
            }
            else if (channel == ErrorChannel && data.Length > 0)
            {
                throw new CommandLineException($"{Encoding.UTF8.GetString(data.Span).Trim()} (port {port} of the pod)");
            }

            channel = received.EndOfMessage ? null : channel;
        }
    }
}
