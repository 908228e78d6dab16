using System.Net.Sockets;
using System.Net.WebSockets;

namespace Hearth.Programs.Hearth.Streaming;

/// <summary>WebSockets to hearthd's streaming server.</summary>
internal static class StreamSocket
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);

    /// <param name="url">As CRI gave it: of http or https.</param>
    /// <param name="protocols">The subprotocols, the best first.</param>
    /// <param name="cancellation">Ends the attempt.</param>
    /// <exception cref="CommandLineException">It cannot be opened.</exception>
    public static async Task<ClientWebSocket> OpenAsync(string url, IReadOnlyList<string> protocols, CancellationToken cancellation)
    {
        if (!Uri.TryCreate(url, UriKind.Absolute, out Uri? http) || http.Scheme is not ("http" or "https"))
        {
            throw new CommandLineException($"hearthd gave \"{url}\" as the address of a stream, which is none.", CommandLineException.RuntimeFailed);
        }

        var socket = new ClientWebSocket();
        foreach (string protocol in protocols)
        {
            socket.Options.AddSubProtocol(protocol);
        }

        try
        {
            await socket.ConnectAsync(new UriBuilder(http) { Scheme = http.Scheme == "https" ? "wss" : "ws" }.Uri, cancellation);
            return socket;
        }
        catch (Exception e) when (e is WebSocketException or HttpRequestException or SocketException)
        {
            socket.Dispose();
            throw new CommandLineException($"hearthd's streaming server at {http.Host}:{http.Port} does not answer: {e.InnerException?.Message ?? e.Message}. See [daemon] stream_address in its configuration.", CommandLineException.RuntimeFailed, e);
        }
    }

    /// <summary>Says goodbye, where there is still someone to say it to.</summary>
    public static async Task CloseAsync(ClientWebSocket socket)
    {
        if (socket.State is not (WebSocketState.Open or WebSocketState.CloseReceived))
        {
            return;
        }

        try
        {
            using var patience = new CancellationTokenSource(s_patience);
            await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, patience.Token);
        }
        catch (Exception e) when (e is WebSocketException or OperationCanceledException or IOException)
        {
            // It is gone already.
        }
    }
}
