using System.Text.Json;

namespace Hearth.Programs.Oci;

/// <summary>A container's state as managers and hooks read it. Source: runtime-spec runtime.md, State.</summary>
internal static class StateDocument
{
    public static void Write(
        Utf8JsonWriter json, string ociVersion, string id, string status, int pid, string bundle, IReadOnlyDictionary<string, string>? annotations, DateTimeOffset? created = null)
    {
        json.WriteStartObject();
        json.WriteString("ociVersion", ociVersion);
        json.WriteString("id", id);
        json.WriteString("status", status);
        if (pid > 0)
        {
            json.WriteNumber("pid", pid);
        }

        json.WriteString("bundle", bundle);
        if (created is { } time)
        {
            json.WriteString("created", time);
        }

        json.WriteStartObject("annotations");
        foreach ((string name, string value) in annotations ?? new Dictionary<string, string>())
        {
            json.WriteString(name, value);
        }

        json.WriteEndObject();
        json.WriteEndObject();
    }
}
