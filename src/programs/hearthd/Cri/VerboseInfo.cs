using System.Text;
using System.Text.Json;
using Hearth.Images;
using Hearth.Runtime.Pods;

namespace Hearth.Programs.Daemon.Cri;

/// <summary>Values of CRI's verbose maps: JSON, for people.</summary>
internal static class VerboseInfo
{
    public static string Handler(HandlerStatus handler) => Write(json =>
    {
        json.WriteBoolean("usable", handler.Problem.Length == 0);
        json.WriteString("problem", handler.Problem);
        json.WriteBoolean("recursiveReadOnlyMounts", handler.RecursiveReadonlyMounts);
        json.WriteBoolean("userNamespaces", handler.UserNamespaces);
    });

    public static string Daemon(string version, string streaming) => Write(json =>
    {
        json.WriteString("version", version);
        json.WriteNumber("pid", Environment.ProcessId);
        json.WriteString("streaming", streaming);
    });

    public static string Image(Image image) => Write(json =>
    {
        json.WriteString("id", image.Id.ToString());
        json.WriteString("manifest", image.Manifest.ToString());
        json.WriteString("created", image.Created);
        json.WriteString("rootFilesystem", image.RootFilesystem);
        json.WriteNumber("inodes", image.Inodes);
        json.WriteStartObject("config");
        json.WriteString("user", image.Config.User);
        json.WriteString("workingDir", image.Config.WorkingDir);
        json.WriteString("stopSignal", image.Config.StopSignal);
        Strings(json, "env", image.Config.Env);
        Strings(json, "entrypoint", image.Config.Entrypoint);
        Strings(json, "cmd", image.Config.Cmd);
        json.WriteStartObject("labels");
        foreach ((string key, string value) in image.Config.Labels)
        {
            json.WriteString(key, value);
        }

        json.WriteEndObject();
        json.WriteEndObject();
    });

    private static void Strings(Utf8JsonWriter json, string name, IEnumerable<string> values)
    {
        json.WriteStartArray(name);
        foreach (string value in values)
        {
            json.WriteStringValue(value);
        }

        json.WriteEndArray();
    }

    private static string Write(Action<Utf8JsonWriter> members)
    {
        using var bytes = new MemoryStream();
        using (var json = new Utf8JsonWriter(bytes))
        {
            json.WriteStartObject();
            members(json);
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(bytes.GetBuffer(), 0, (int)bytes.Length);
    }
}
