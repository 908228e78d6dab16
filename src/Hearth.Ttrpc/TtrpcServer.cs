namespace Hearth.Ttrpc;

/// <summary>
/// Services for any number of connections. Peers are hostile: each connection is bounded in calls and in bytes, and what
/// it does wrong ends a call or itself, never the server. Thread: any.
/// </summary>
public sealed class TtrpcServer
{
    private readonly Dictionary<string, TtrpcService> _services = new(StringComparer.Ordinal);

    /// <param name="services">What is served.</param>
    public TtrpcServer(params IEnumerable<TtrpcService> services)
    {
        foreach (TtrpcService service in services)
        {
            _services.Add(service.Name, service);
        }
    }

    /// <summary>Calls that one connection may have under way; more are answered ResourceExhausted.</summary>
    public int MaxCalls { get; init; } = 1024;

    /// <summary>Bytes of requests that one connection may have under way; more are answered ResourceExhausted.</summary>
    public int MaxRequestBytes { get; init; } = 32 << 20;

    /// <summary>
    /// Serves a connection until its peer closes it or <paramref name="cancellation"/> ends it, and closes it. Calls under way
    /// are cancelled and waited for. A peer that breaks the protocol ends the connection too; none of that throws.
    /// </summary>
    public Task ServeAsync(Stream stream, CancellationToken cancellation = default) => new ServerConnection(this, stream).RunAsync(cancellation);

    internal TtrpcMethod Find(string service, string method)
    {
        if (!_services.TryGetValue(service, out TtrpcService? found))
        {
            throw new TtrpcException(StatusCode.Unimplemented, $"service {service}");
        }

        return found.Find(method) ?? throw new TtrpcException(StatusCode.Unimplemented, $"method {method}");
    }
}
