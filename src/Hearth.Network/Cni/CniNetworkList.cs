using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Hearth.Network.Cni;

/// <summary>One plugin of a network.</summary>
/// <param name="Type">The program's name.</param>
/// <param name="Conf">Its configuration as written; never changed.</param>
/// <param name="Capabilities">What it wants to be told of a pod: names of <see cref="CniCapabilities"/>.</param>
public sealed record CniPluginConf(string Type, JsonObject Conf, IReadOnlySet<string> Capabilities);

/// <summary>A network's configuration: plugins that are called one after the other. Source: CNI specification, "Section 1".</summary>
public sealed class CniNetworkList
{
    private const int MostBytes = 1 << 20;
    private const int MostPlugins = 64;

    private CniNetworkList(string name, CniVersion version, JsonObject json, IReadOnlyList<CniPluginConf> plugins)
    {
        Name = name;
        Version = version;
        Json = json;
        Plugins = plugins;
    }

    public string Name { get; }

    /// <summary>What is spoken to the plugins.</summary>
    public CniVersion Version { get; }

    public IReadOnlyList<CniPluginConf> Plugins { get; }

    /// <summary>The whole list, as it is kept for a later DEL.</summary>
    internal JsonObject Json { get; }

    internal bool DisableCheck => Flag("disableCheck");

    internal bool DisableGc => Flag("disableGC");

    /// <summary>Reads a conf list, or a single plugin's conf, which is a list of one.</summary>
    /// <param name="json">The file's content.</param>
    /// <param name="source">The file's name, for errors.</param>
    /// <exception cref="CniException">It is no valid configuration; what and where.</exception>
    public static CniNetworkList Parse(ReadOnlySpan<byte> json, string source)
    {
        if (json.Length > MostBytes)
        {
            throw Invalid(source, $"it has more than {MostBytes} bytes");
        }

        JsonObject root;
        try
        {
            root = JsonNode.Parse(json, documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false }) as JsonObject ?? throw Invalid(source, "it is no JSON object");
        }
        catch (Exception e) when (e is JsonException or DecoderFallbackException)
        {
            throw Invalid(source, $"it is no JSON ({e.Message.TrimEnd('.')})", e);
        }

        return Parse(root, source);
    }

    /// <inheritdoc cref="Parse(ReadOnlySpan{byte}, string)"/>
    internal static CniNetworkList Parse(JsonObject root, string source)
    {
        string name = Text(root, "name", source) ?? throw Invalid(source, "it has no name");
        if (!CniNames.IsName(name))
        {
            throw Invalid(source, $"the name \"{name}\" is not letters, digits, '.', '_' and '-'");
        }

        CniVersion version = VersionOf(root, source);
        var list = new List<CniPluginConf>();
        if (root["plugins"] is not { } plugins)
        {
            list.Add(Plugin(root, "type", source));
        }
        else if (plugins is JsonArray { Count: > 0 and <= MostPlugins } array)
        {
            for (int i = 0; i < array.Count; i++)
            {
                list.Add(Plugin(array[i] as JsonObject ?? throw Invalid(source, $"plugins[{i}] is no object"), $"plugins[{i}].type", source));
            }
        }
        else
        {
            throw Invalid(source, $"\"plugins\" is no array of 1 to {MostPlugins} plugins");
        }

        return new CniNetworkList(name, version, root, list);
    }

    /// <summary>This list with more plugins at its end.</summary>
    internal CniNetworkList With(IReadOnlyList<JsonObject> plugins, string source)
    {
        JsonObject json = Json.DeepClone().AsObject();
        if (json["plugins"] is JsonArray array)
        {
            foreach (JsonObject plugin in plugins)
            {
                array.Add((JsonNode)plugin.DeepClone());
            }
        }

        return Parse(json, source);
    }

    private static CniPluginConf Plugin(JsonObject conf, string where, string source)
    {
        string type = Text(conf, "type", source) ?? throw Invalid(source, $"\"{where}\" is missing");
        if (!CniNames.IsPlugin(type))
        {
            throw Invalid(source, $"\"{where}\" is \"{type}\", and a plugin is named without slashes");
        }

        var capabilities = new HashSet<string>(StringComparer.Ordinal);
        switch (conf["capabilities"])
        {
            case null:
                break;
            case JsonObject asked:
                foreach ((string capability, JsonNode? value) in asked)
                {
                    if (value?.GetValueKind() is not (JsonValueKind.True or JsonValueKind.False))
                    {
                        throw Invalid(source, $"the capability \"{capability}\" of plugin {type} is neither true nor false");
                    }

                    if (value.GetValueKind() == JsonValueKind.True)
                    {
                        capabilities.Add(capability);
                    }
                }

                break;
            default:
                throw Invalid(source, $"\"capabilities\" of plugin {type} is no object");
        }

        return new CniPluginConf(type, conf, capabilities);
    }

    // The newest of those offered that is known here; "cniVersions" is of 1.1.
    private static CniVersion VersionOf(JsonObject root, string source)
    {
        var offered = new List<string>();
        if (Text(root, "cniVersion", source) is { Length: > 0 } one)
        {
            offered.Add(one);
        }

        if (root["cniVersions"] is JsonArray several)
        {
            offered.AddRange(several.Select(item => item?.GetValueKind() == JsonValueKind.String ? item.GetValue<string>() : throw Invalid(source, "\"cniVersions\" has an entry that is no string")));
        }

        if (offered.Count == 0)
        {
            return CniVersion.Unnamed;
        }

        CniVersion? best = null;
        foreach (string text in offered)
        {
            if (!CniVersion.TryParse(text, out CniVersion version))
            {
                throw Invalid(source, $"\"{text}\" is no version");
            }

            if (version <= CniVersion.Newest && (best is null || version > best))
            {
                best = version;
            }
        }

        return best ?? throw Invalid(source, $"it is for CNI {string.Join(", ", offered)}, and the newest that is known here is {CniVersion.Newest}");
    }

    private static string? Text(JsonObject json, string key, string source) => json[key] switch
    {
        null => null,
        { } value when value.GetValueKind() == JsonValueKind.String => value.GetValue<string>(),
        _ => throw Invalid(source, $"\"{key}\" is no string"),
    };

    private static CniException Invalid(string source, string why, Exception? cause = null) => new($"The CNI configuration {source} is not valid: {why}.", cause: cause);

    // Some write "true" as a string; libcni takes both.
    private bool Flag(string key) => Json[key] switch
    {
        null => false,
        { } value when value.GetValueKind() == JsonValueKind.String => bool.TryParse(value.GetValue<string>(), out bool set) && set,
        { } value => value.GetValueKind() == JsonValueKind.True,
    };
}
