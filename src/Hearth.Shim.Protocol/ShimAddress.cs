using System.Text.Json;

namespace Hearth.Shim.Protocol;

/// <summary>
/// What a shim's <c>start</c> prints: where it listens. The address alone, or JSON where that is of a later version than 2. Source: containerd, docs/runtime-v2.md.
/// </summary>
/// <param name="Version">Of the task service: 2 or 3.</param>
/// <param name="Address"><c>unix://</c> and a path.</param>
/// <param name="Protocol"><c>ttrpc</c>.</param>
public sealed record ShimAddress(int Version, string Address, string Protocol = "ttrpc")
{
    /// <summary>Reads either form.</summary>
    /// <exception cref="FormatException">This is no address.</exception>
    public static ShimAddress Parse(string printed)
    {
        string text = printed.Trim();
        if (!text.StartsWith('{'))
        {
            return text.StartsWith('/') || text.StartsWith("unix://", StringComparison.Ordinal)
                ? new ShimAddress(2, text)
                : throw new FormatException($"The shim printed no address: \"{text}\". Is it hearth-shim, of this version?");
        }

        try
        {
            using var json = JsonDocument.Parse(text);
            JsonElement root = json.RootElement;
            return new ShimAddress(
                root.GetProperty("version").GetInt32(),
                root.GetProperty("address").GetString() ?? "",
                root.TryGetProperty("protocol", out JsonElement protocol) ? protocol.GetString() ?? "" : "ttrpc");
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new FormatException($"The shim printed no address: \"{text}\". Is it hearth-shim, of this version?", e);
        }
    }

    /// <summary>The form that <paramref name="asJson"/> asks for.</summary>
    public string Print(bool asJson) => asJson
        ? $$"""{"version":{{Version}},"address":"{{JsonEncodedText.Encode(Address)}}","protocol":"{{Protocol}}"}"""
        : Address;
}
