using System.Net;
using System.Net.WebSockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Hearth.Configuration;
using Hearth.Linux;
using Hearth.Programs.Daemon.Spdy;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Hearth.Programs.Daemon.Streaming;

/// <summary>
/// Where clients of exec, attach and port-forward come with the URL that CRI gave them: HTTP/1.1 that is upgraded to SPDY/3.1 or
/// to a WebSocket. Without TLS it listens on loopback only. Thread: any.
/// </summary>
internal sealed partial class StreamingServer : IAsyncDisposable
{
    // Upgraded connections at a time: each has pipes and a process or ports in a guest behind it.
    private const int MaxConnections = 1000;

    private const string Spdy31 = "SPDY/3.1";
    private const string ProtocolHeader = "X-Stream-Protocol-Version";
    private const string AcceptedHeader = "X-Accepted-Stream-Protocol-Versions";

    private static readonly TimeSpan s_streamsTimeout = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_keepAlive = TimeSpan.FromMinutes(2);

    private readonly WebApplication _application;
    private readonly IStreamingTarget _target;
    private readonly StreamTokens _tokens;
    private readonly ILogger _log;

    private StreamingServer(WebApplication application, IStreamingTarget target, StreamTokens tokens, ILogger log)
    {
        _application = application;
        _target = target;
        _tokens = tokens;
        _log = log;
    }

    /// <summary>What URLs begin with: <c>http://127.0.0.1:1234</c>.</summary>
    public string BaseUrl { get; private set; } = "";

    /// <summary>Listens.</summary>
    /// <exception cref="HearthException">The configuration's address, port or certificate cannot be used.</exception>
    public static async Task<StreamingServer> StartAsync(DaemonConfig config, IStreamingTarget target, TimeProvider time, ILoggerFactory logs)
    {
        X509Certificate2? certificate = ReadCertificate(config);
        IPAddress address = ReadAddress(config, tls: certificate is not null);
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddSingleton(logs);
        builder.Services.AddSingleton<IHostLifetime, OwnLifetime>();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxConcurrentConnections = 2 * MaxConnections;
            kestrel.Limits.MaxConcurrentUpgradedConnections = MaxConnections;
            kestrel.Limits.MaxRequestHeadersTotalSize = 16 * 1024;
            kestrel.Limits.MaxRequestBodySize = 0;
            kestrel.Listen(address, config.StreamPort, listen =>
            {
                listen.Protocols = HttpProtocols.Http1;
                if (certificate is not null)
                {
                    listen.UseHttps(certificate);
                }
            });
        });
        WebApplication application = builder.Build();
        var server = new StreamingServer(application, target, new StreamTokens(time), logs.CreateLogger("streaming"));
        application.UseWebSockets();
        application.Run(server.ServeAsync);
        try
        {
            await application.StartAsync().ConfigureAwait(false);
        }
        catch (IOException e)
        {
            await application.DisposeAsync().ConfigureAwait(false);
            throw new HearthException($"The streaming server cannot listen on {address} port {config.StreamPort} (daemon.stream_address, daemon.stream_port): {e.Message}", e);
        }

        server.BaseUrl = application.Urls.Single();
        return server;
    }

    /// <summary>A URL for one client, once, within <see cref="StreamTokens.Lifetime"/>.</summary>
    /// <returns>Null if too many were given out and not used.</returns>
    public string? Publish(StreamingRequest request) =>
        _tokens.Issue(request) is { } token ? $"{BaseUrl}/{request.Kind}/{token}" : null;

    /// <summary>Ends what is streamed.</summary>
    public async ValueTask DisposeAsync()
    {
        using var now = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        await _application.StopAsync(now.Token).ConfigureAwait(false);
        await _application.DisposeAsync().ConfigureAwait(false);
    }

    private static X509Certificate2? ReadCertificate(DaemonConfig config)
    {
        if (config.StreamCertificate.Length == 0 && config.StreamKey.Length == 0)
        {
            return null;
        }

        if (config.StreamCertificate.Length == 0 || config.StreamKey.Length == 0)
        {
            throw new HearthException("Of daemon.stream_certificate and daemon.stream_key only one is set. TLS needs both, PEM files.");
        }

        try
        {
            return X509Certificate2.CreateFromPemFile(config.StreamCertificate, config.StreamKey);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw new HearthException($"The streaming server's certificate {config.StreamCertificate} with the key {config.StreamKey} cannot be read: {e.Message}", e);
        }
    }

    private static IPAddress ReadAddress(DaemonConfig config, bool tls)
    {
        if (!IPAddress.TryParse(config.StreamAddress, out IPAddress? address))
        {
            throw new HearthException($"daemon.stream_address is {config.StreamAddress}, which is no IP address.");
        }

        if (address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any))
        {
            throw new HearthException($"daemon.stream_address is {address}, every address of this host. It goes into URLs: give the one that the kubelet reaches.");
        }

        return tls || IPAddress.IsLoopback(address)
            ? address
            : throw new HearthException($"daemon.stream_address {address} would carry terminals over the network in the clear. Set daemon.stream_certificate and daemon.stream_key, or use 127.0.0.1.");
    }

    private async Task ServeAsync(HttpContext context)
    {
        string[] path = (context.Request.Path.Value ?? "").Split('/');
        if (path is not ["", string kind, string token] || _tokens.Take(kind, token) is not { } request)
        {
            await RefuseAsync(context, StatusCodes.Status404NotFound, "There is no such stream, or no longer: a URL from CRI is good once, for a minute.").ConfigureAwait(false);
            return;
        }

        // The connection's end, or the daemon's.
        using var end = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, _application.Lifetime.ApplicationStopping);
        try
        {
            await (request switch
            {
                CommandRequest command => CommandAsync(context, command, end.Token),
                PortForwardStreaming ports => PortForwardAsync(context, ports, end.Token),
                _ => throw new System.Diagnostics.UnreachableException(),
            }).ConfigureAwait(false);
        }
        catch (SpdyException e)
        {
            LogBadClient(request.Kind, e.Message);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or WebSocketException or ConnectionAbortedException)
        {
            LogClientGone(request.Kind, e.Message);
        }
    }

    private async Task CommandAsync(HttpContext context, CommandRequest request, CancellationToken end)
    {
        ICommandConnection? connection;
        if (context.WebSockets.IsWebSocketRequest)
        {
            if (await NegotiateAsync(context, context.WebSockets.WebSocketRequestedProtocols, [WebSocketCommand.V5, WebSocketCommand.V4]).ConfigureAwait(false) is not { } protocol)
            {
                return;
            }

            WebSocket socket = await AcceptWebSocketAsync(context, protocol).ConfigureAwait(false);
            connection = await WebSocketCommand.OpenAsync(socket, request, protocol, end).ConfigureAwait(false);
        }
        else
        {
            if (await UpgradeToSpdyAsync(context, WebSocketCommand.V4).ConfigureAwait(false) is not { } transport)
            {
                return;
            }

            connection = await SpdyCommand.OpenAsync(transport, request, s_streamsTimeout, end).ConfigureAwait(false);
        }

        if (connection is null)
        {
            LogBadClient(request.Kind, "it did not open its streams");
            return;
        }

        await using (connection.ConfigureAwait(false))
        {
            await connection.FinishAsync(await RunAsync(request, connection).ConfigureAwait(false)).ConfigureAwait(false);
        }
    }

    private async Task<byte[]> RunAsync(CommandRequest request, ICommandConnection connection)
    {
        try
        {
            if (request is ExecStreaming exec)
            {
                return CommandStatus.Exited(await _target.ExecAsync(exec, connection.Streams, connection.Closed).ConfigureAwait(false));
            }

            await _target.AttachAsync((AttachStreaming)request, connection.Streams, connection.Closed).ConfigureAwait(false);
            return CommandStatus.Exited(0);
        }
        catch (OperationCanceledException) when (connection.Closed.IsCancellationRequested)
        {
            return CommandStatus.Failed("the client went away");
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            LogFailed(request.Kind, request.ContainerId, e.Message);
            return CommandStatus.Failed(e.Message);
        }
    }

    private async Task PortForwardAsync(HttpContext context, PortForwardStreaming request, CancellationToken end)
    {
        var forwarding = new PortForwarding(_target, request);
        if (!context.WebSockets.IsWebSocketRequest)
        {
            if (await UpgradeToSpdyAsync(context, PortForwarding.Protocol).ConfigureAwait(false) is { } transport)
            {
                await forwarding.ServeSpdyAsync(transport, end).ConfigureAwait(false);
            }

            return;
        }

        if (await NegotiateAsync(context, context.WebSockets.WebSocketRequestedProtocols, [PortForwarding.Tunnelled, WebSocketCommand.V4]).ConfigureAwait(false) is not { } protocol)
        {
            return;
        }

        if (protocol == PortForwarding.Tunnelled)
        {
            using var tunnel = new WebSocketBytes(await AcceptWebSocketAsync(context, protocol).ConfigureAwait(false));
            await forwarding.ServeSpdyAsync(tunnel, end).ConfigureAwait(false);
            await tunnel.CompleteWritesAsync(end).ConfigureAwait(false);
            return;
        }

        if (forwarding.ChoosePorts([.. context.Request.Query.Where(static pair => pair.Key is "port" or "ports").SelectMany(static pair => pair.Value)]) is not { } ports)
        {
            await RefuseAsync(context, StatusCodes.Status400BadRequest, "Which ports? Name those that were asked for over CRI, as ?port=80, 64 at most.").ConfigureAwait(false);
            return;
        }

        using WebSocket socket = await AcceptWebSocketAsync(context, protocol).ConfigureAwait(false);
        await forwarding.ServeChannelsAsync(socket, ports, end).ConfigureAwait(false);
    }

    /// <returns>The connection after the upgrade; null if it was refused.</returns>
    private static async Task<Stream?> UpgradeToSpdyAsync(HttpContext context, string protocol)
    {
        var upgrade = context.Features.Get<IHttpUpgradeFeature>();
        if (upgrade is not { IsUpgradableRequest: true } || !context.Request.Headers.Upgrade.ToString().Contains(Spdy31, StringComparison.OrdinalIgnoreCase))
        {
            await RefuseAsync(context, StatusCodes.Status400BadRequest, $"This is streamed: ask for an upgrade to {Spdy31}, or for a WebSocket.").ConfigureAwait(false);
            return null;
        }

        IList<string> asked = [.. context.Request.Headers[ProtocolHeader].SelectMany(static value => (value ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))];
        if (await NegotiateAsync(context, asked, [protocol]).ConfigureAwait(false) is null)
        {
            return null;
        }

        context.Response.Headers[ProtocolHeader] = protocol;
        context.Response.Headers.Upgrade = Spdy31;
        return await upgrade.UpgradeAsync().ConfigureAwait(false);
    }

    /// <summary>
    /// Ends the handshake of RFC 6455 §4.2.2. The framework's own refuses subprotocols with a slash in their names, as
    /// <see cref="PortForwarding.Tunnelled"/> has, after it has answered.
    /// </summary>
    private static async Task<WebSocket> AcceptWebSocketAsync(HttpContext context, string protocol)
    {
        const string Salt = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
        context.Response.Headers.Upgrade = "websocket";
        context.Response.Headers.SecWebSocketAccept =
            Convert.ToBase64String(SHA1.HashData(Encoding.ASCII.GetBytes(context.Request.Headers.SecWebSocketKey + Salt)));
        context.Response.Headers.SecWebSocketProtocol = protocol;
        Stream stream = await context.Features.GetRequiredFeature<IHttpUpgradeFeature>().UpgradeAsync().ConfigureAwait(false);
        return WebSocket.CreateFromStream(stream, new WebSocketCreationOptions { IsServer = true, KeepAliveInterval = s_keepAlive });
    }

    /// <returns>The first of the client's protocols that is spoken here; null if it was refused.</returns>
    private static async Task<string?> NegotiateAsync(HttpContext context, IList<string> asked, string[] spoken)
    {
        string? common = asked.FirstOrDefault(spoken.Contains);
        if (common is null)
        {
            context.Response.Headers[AcceptedHeader] = spoken;
            await RefuseAsync(
                context,
                asked.Count == 0 ? StatusCodes.Status400BadRequest : StatusCodes.Status403Forbidden,
                $"The client speaks {(asked.Count == 0 ? "no version of the protocol" : string.Join(", ", asked))}; here it is {string.Join(", ", spoken)}.").ConfigureAwait(false);
        }

        return common;
    }

    private static async Task RefuseAsync(HttpContext context, int status, string message)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "text/plain; charset=utf-8";
        await context.Response.WriteAsync(message + "\n", context.RequestAborted).ConfigureAwait(false);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "A client of {Kind} was given up: {Reason}")]
    private partial void LogBadClient(string kind, string reason);

    [LoggerMessage(Level = LogLevel.Debug, Message = "A client of {Kind} went away: {Reason}")]
    private partial void LogClientGone(string kind, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Kind} in {Container} failed: {Reason}")]
    private partial void LogFailed(string kind, string container, string reason);
}
