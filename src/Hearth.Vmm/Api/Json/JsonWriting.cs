using System.Text.Json;

namespace Hearth.Vmm.Api.Json;

/// <summary>Fields that are left out where there is nothing to say.</summary>
internal static class JsonWriting
{
    public static void WriteOptionalString(this Utf8JsonWriter json, string name, string? value)
    {
        if (value is not null)
        {
            json.WriteString(name, value);
        }
    }
}
