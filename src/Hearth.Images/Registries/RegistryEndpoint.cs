using System.Net;

namespace Hearth.Images.Registries;

/// <summary>A host that speaks the distribution protocol: a registry itself, or a mirror of one.</summary>
internal sealed record RegistryEndpoint
{
    private const string DockerHub = "docker.io";
    private const string DockerHubHost = "registry-1.docker.io";

    /// <summary>As the user writes it: what credentials are looked up by.</summary>
    public required string Name { get; init; }

    /// <summary><c>https://HOST/v2/</c>.</summary>
    public required Uri Base { get; init; }

    /// <summary>Of a mirror: the registry it stands for, which it may want to be told.</summary>
    public string? MirrorOf { get; init; }

    /// <summary>Whom to ask for a registry's images: its mirrors, then itself.</summary>
    public static IEnumerable<RegistryEndpoint> For(string registry, RegistryOptions options)
    {
        foreach (string mirror in options.Mirrors.GetValueOrDefault(registry, []))
        {
            yield return Create(mirror, registry, options);
        }

        yield return Create(registry, null, options);
    }

    public Uri Url(string path)
    {
        string query = MirrorOf is null ? string.Empty : "?ns=" + Uri.EscapeDataString(MirrorOf);
        return new Uri(Base, path + query);
    }

    private static RegistryEndpoint Create(string name, string? mirrorOf, RegistryOptions options)
    {
        string host = name == DockerHub ? DockerHubHost : name;
        bool plain = options.PlainHttp.Contains(name) || (IsLoopback(host) && !options.TlsOnLoopback);
        return Uri.TryCreate($"{(plain ? "http" : "https")}://{host}/v2/", UriKind.Absolute, out Uri? url)
            ? new RegistryEndpoint { Name = name, Base = url, MirrorOf = mirrorOf }
            : throw new ImageException(ImageFault.InvalidReference, $"\"{name}\" is no host. Write HOST or HOST:PORT.");
    }

    /// <summary>What goes there leaves nothing of this machine.</summary>
    private static bool IsLoopback(string host)
    {
        string name = Uri.TryCreate("http://" + host, UriKind.Absolute, out Uri? url) ? url.Host : host;
        return name == "localhost" || (IPAddress.TryParse(name, out IPAddress? address) && IPAddress.IsLoopback(address));
    }
}
