using System.Text.Json;

namespace Hearth.Vmm.Api.Json;

/// <summary>What <see cref="Utf8JsonWriter"/> has no word for.</summary>
internal static class JsonWriting
{
    /// <summary>Leaves the field out where there is no value.</summary>
    public static void WriteOptionalString(this Utf8JsonWriter json, string name, string? value)
    {
        if (value is not null)
        {
            json.WriteString(name, value);
        }
    }

    public static void WriteStringMap(this Utf8JsonWriter json, string name, IEnumerable<KeyValuePair<string, string>> map)
    {
        json.WriteStartObject(name);
        foreach ((string key, string value) in map)
        {
            json.WriteString(key, value);
        }

        json.WriteEndObject();
    }
}
