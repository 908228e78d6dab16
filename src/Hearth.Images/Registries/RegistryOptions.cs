namespace Hearth.Images.Registries;

/// <summary>How a client shows who it is. Give a name and password, or one of the tokens.</summary>
public sealed record RegistryCredentials
{
    public string? Username { get; init; }

    public string? Password { get; init; }

    /// <summary>A refresh token, exchanged for access tokens.</summary>
    public string? IdentityToken { get; init; }

    /// <summary>An access token, sent as it is.</summary>
    public string? RegistryToken { get; init; }

    // Not the generated one, which would print passwords into logs.
    public override string ToString() => $"RegistryCredentials {{ Username = {Username} }}";
}

/// <summary>How registries are spoken to.</summary>
public sealed record RegistryOptions
{
    /// <summary>
    /// Registries (<c>host</c> or <c>host:port</c>) that are spoken to without TLS. Those on this machine's loopback are,
    /// unless <see cref="TlsOnLoopback"/>.
    /// </summary>
    public IReadOnlySet<string> PlainHttp { get; init; } = new HashSet<string>();

    public bool TlsOnLoopback { get; init; }

    /// <summary>For a registry, those that are asked before it, in order.</summary>
    public IReadOnlyDictionary<string, IReadOnlyList<string>> Mirrors { get; init; } = new Dictionary<string, IReadOnlyList<string>>();

    /// <summary>For a registry or mirror; null for none.</summary>
    public Func<string, RegistryCredentials?> Credentials { get; init; } = _ => null;

    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Until an answer begins.</summary>
    public TimeSpan ResponseTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Between bytes of an answer.</summary>
    public TimeSpan IdleTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>How often a request that failed for a passing reason is made.</summary>
    public int Attempts { get; init; } = 4;

    /// <summary>Before the second attempt; it doubles with each.</summary>
    public TimeSpan RetryDelay { get; init; } = TimeSpan.FromMilliseconds(300);

    /// <summary>Layers pulled at a time.</summary>
    public int ParallelLayers { get; init; } = 3;
}
