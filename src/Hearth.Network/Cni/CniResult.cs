using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace Hearth.Network.Cni;

/// <summary>An interface that plugins made.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Mac">Its hardware address; empty if it was not told.</param>
/// <param name="Sandbox">The namespace's path; empty for one of the host's.</param>
public sealed record CniInterface(string Name, string Mac, string Sandbox);

/// <summary>An address that plugins gave.</summary>
/// <param name="Address">The address.</param>
/// <param name="PrefixLength">Bits.</param>
/// <param name="Gateway">Null if there is none.</param>
/// <param name="Interface">An index of <see cref="CniResult.Interfaces"/>; null if it was not told.</param>
public sealed record CniAddress(IPAddress Address, int PrefixLength, IPAddress? Gateway, int? Interface);

/// <summary>A route that plugins made.</summary>
public sealed record CniRoute(IPNetwork Destination, IPAddress? Gateway);

/// <summary>Name servers that plugins know.</summary>
public sealed record CniDns(IReadOnlyList<string> Nameservers, string Domain, IReadOnlyList<string> Search, IReadOnlyList<string> Options)
{
    public static readonly CniDns None = new([], "", [], []);
}

/// <summary>
/// What the last plugin of a network said of an attachment, in any version: 0.1 and 0.2 (<c>ip4</c>, <c>ip6</c>), 0.3 and 0.4
/// (<c>ips</c> with a version each), 1.0 and 1.1. Source: CNI specification, "Success".
/// </summary>
public sealed class CniResult
{
    private CniResult(JsonObject json, Wire wire, string source)
    {
        Json = json;
        Interfaces = [.. (wire.Interfaces ?? []).Select(entry => new CniInterface(
            entry?.Name ?? throw Invalid(source, "an interface has no name"), entry.Mac ?? "", entry.Sandbox ?? ""))];
        var addresses = new List<CniAddress>();
        var routes = new List<CniRoute>();
        foreach (WireAddress? entry in wire.Ips ?? [])
        {
            if (entry?.Interface is { } index && (index < 0 || index >= Interfaces.Count))
            {
                throw Invalid(source, $"the address {entry.Address} is of interface {index}, and there are {Interfaces.Count}");
            }

            addresses.Add(AddressOf(entry?.Address, entry?.Gateway, entry?.Interface, source));
        }

        foreach (WireOldAddress old in new[] { wire.Ip4, wire.Ip6 }.OfType<WireOldAddress>())
        {
            addresses.Add(AddressOf(old.Ip, old.Gateway, null, source));
            routes.AddRange(RoutesOf(old.Routes, source));
        }

        routes.AddRange(RoutesOf(wire.Routes, source));
        Addresses = addresses;
        Routes = routes;
        Dns = wire.Dns is { } dns ? new CniDns(dns.Nameservers ?? [], dns.Domain ?? "", dns.Search ?? [], dns.Options ?? []) : CniDns.None;
    }

    public IReadOnlyList<CniInterface> Interfaces { get; }

    /// <summary>In the plugin's order; the first is the pod's own.</summary>
    public IReadOnlyList<CniAddress> Addresses { get; }

    public IReadOnlyList<CniRoute> Routes { get; }

    public CniDns Dns { get; }

    /// <summary>As it was said, for the next plugin and for the cache.</summary>
    internal JsonObject Json { get; }

    /// <summary>The addresses of the pod's side: those of no interface, or of one in a namespace.</summary>
    public IEnumerable<CniAddress> PodAddresses => Addresses.Where(address => address.Interface is not { } index || Interfaces[index].Sandbox.Length > 0);

    /// <param name="json">What a plugin printed.</param>
    /// <param name="source">Who it was, for errors.</param>
    /// <exception cref="CniException">It is no result.</exception>
    public static CniResult Parse(ReadOnlySpan<byte> json, string source)
    {
        try
        {
            return Parse(JsonNode.Parse(json) as JsonObject ?? throw Invalid(source, "it is no JSON object"), source);
        }
        catch (JsonException e)
        {
            throw Invalid(source, $"it is no JSON ({e.Message.TrimEnd('.')})", e);
        }
    }

    /// <inheritdoc cref="Parse(ReadOnlySpan{byte}, string)"/>
    internal static CniResult Parse(JsonObject json, string source)
    {
        Wire wire;
        try
        {
            wire = json.Deserialize(CniJson.Default.Wire) ?? new Wire();
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw Invalid(source, e.Message.TrimEnd('.'), e);
        }

        if (wire.CniVersion is { Length: > 0 } version && (!CniVersion.TryParse(version, out CniVersion parsed) || parsed > CniVersion.Newest))
        {
            throw Invalid(source, $"it is of CNI {version}, and the newest that is known here is {CniVersion.Newest}");
        }

        return new CniResult(json, wire, source);
    }

    private static CniAddress AddressOf(string? text, string? gateway, int? link, string source)
    {
        string[] parts = (text ?? "").Split('/');
        if (parts.Length != 2 || !IPAddress.TryParse(parts[0], out IPAddress? address)
            || !int.TryParse(parts[1], System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out int prefix)
            || prefix > address.GetAddressBytes().Length * 8)
        {
            throw Invalid(source, $"\"{text}\" is no address with a prefix");
        }

        return new CniAddress(address, prefix, OptionalAddress(gateway, source), link);
    }

    private static IEnumerable<CniRoute> RoutesOf(IEnumerable<WireRoute?>? routes, string source) => (routes ?? []).Select(route =>
        new CniRoute(
            TryNetwork(route?.Dst, out IPNetwork destination) ? destination : throw Invalid(source, $"\"{route?.Dst}\" is no network"),
            OptionalAddress(route?.Gw, source)));

    // 10.1.2.3/24 is a network too: Go's parser takes it, so plugins may say it.
    private static bool TryNetwork(string? text, out IPNetwork network)
    {
        network = default;
        string[] parts = (text ?? "").Split('/');
        if (parts.Length != 2 || !IPAddress.TryParse(parts[0], out IPAddress? address)
            || !int.TryParse(parts[1], System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out int prefix))
        {
            return false;
        }

        byte[] bytes = address.GetAddressBytes();
        if (prefix > bytes.Length * 8)
        {
            return false;
        }

        for (int bit = prefix; bit < bytes.Length * 8; bit++)
        {
            bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
        }

        network = new IPNetwork(new IPAddress(bytes), prefix);
        return true;
    }

    private static IPAddress? OptionalAddress(string? text, string source) =>
        string.IsNullOrEmpty(text) ? null : IPAddress.TryParse(text, out IPAddress? address) ? address : throw Invalid(source, $"\"{text}\" is no address");

    private static CniException Invalid(string source, string why, Exception? cause = null) => new($"The result of {source} is not valid: {why}.", cause: cause);

    /// <summary>All versions' members in one.</summary>
    internal sealed record Wire
    {
        public string? CniVersion { get; init; }

        public List<WireInterface?>? Interfaces { get; init; }

        public List<WireAddress?>? Ips { get; init; }

        public List<WireRoute?>? Routes { get; init; }

        public WireDns? Dns { get; init; }

        public WireOldAddress? Ip4 { get; init; }

        public WireOldAddress? Ip6 { get; init; }
    }

    internal sealed record WireInterface(string? Name, string? Mac, string? Sandbox);

    internal sealed record WireAddress(string? Address, string? Gateway, int? Interface);

    internal sealed record WireRoute(string? Dst, string? Gw);

    internal sealed record WireDns(List<string>? Nameservers, string? Domain, List<string>? Search, List<string>? Options);

    internal sealed record WireOldAddress(string? Ip, string? Gateway, List<WireRoute?>? Routes);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(CniResult.Wire))]
[JsonSerializable(typeof(CniCacheEntry))]
internal sealed partial class CniJson : JsonSerializerContext;
