using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Hearth.Cri.Protocol;

namespace Hearth.Programs.Hearth.Cri;

/// <summary>
/// crictl's files for pods and containers, as JSON: CRI's messages under their own names (<c>log_directory</c>) or JSON's
/// (<c>logDirectory</c>), where variables' values are plain texts. What is not known is passed over, as crictl does.
/// </summary>
internal static class CriFile
{
    private static readonly JsonParser s_parser = new(JsonParser.Settings.Default.WithIgnoreUnknownFields(true));

    public static PodSandboxConfig Pod(string path)
    {
        PodSandboxConfig pod = Read<PodSandboxConfig>(path);
        if (pod.Metadata is null || pod.Metadata.Name.Length == 0)
        {
            throw new CommandLineException($"{path} names no pod: \"metadata\" needs \"name\", \"namespace\" and \"uid\".");
        }

        // As crictl does: a pod without one could be made once only.
        if (pod.Metadata.Uid.Length == 0)
        {
            pod.Metadata.Uid = Guid.NewGuid().ToString();
        }

        if (pod.Metadata.Namespace.Length == 0)
        {
            pod.Metadata.Namespace = "default";
        }

        return pod;
    }

    public static ContainerConfig Container(string path)
    {
        ContainerConfig container = Read<ContainerConfig>(path);
        return container.Metadata is { Name.Length: > 0 } && container.Image is { Image.Length: > 0 }
            ? container
            : throw new CommandLineException($"{path} is no whole container: \"metadata\" needs \"name\", and \"image\" needs \"image\".");
    }

    private static T Read<T>(string path)
        where T : IMessage, new()
    {
        try
        {
            return Parse<T>(path == "-" ? Console.In.ReadToEnd() : File.ReadAllText(path), path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CommandLineException($"{path} cannot be read: {e.Message}", 1, e);
        }
    }

    internal static T Parse<T>(string text, string path)
        where T : IMessage, new()
    {
        try
        {
            JsonNode? root = JsonNode.Parse(text, null, new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true, AllowDuplicateProperties = false });
            if (root is not JsonObject document)
            {
                throw new CommandLineException($"{path} is no JSON object.");
            }

            EncodeVariables(document);
            return (T)s_parser.Parse(document.ToJsonString(), new T().Descriptor);
        }
        catch (JsonException e)
        {
            throw new CommandLineException($"{path} is no JSON (line {e.LineNumber + 1}): {e.Message} A file in YAML must be written as JSON.", 1, e);
        }
        catch (Exception e) when (e is InvalidProtocolBufferException or InvalidJsonException)
        {
            throw new CommandLineException($"{path} does not fit CRI: {e.Message}", 1, e);
        }
    }

    // CRI's newest form has variables' values as bytes, which JSON would have in base 64.
    private static void EncodeVariables(JsonObject document)
    {
        if (document["envs"] is not JsonArray variables)
        {
            return;
        }

        foreach (JsonNode? variable in variables)
        {
            if (variable is JsonObject one && one["value"] is JsonValue value && value.GetValueKind() == JsonValueKind.String)
            {
                one["value"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(value.GetValue<string>()));
            }
        }
    }
}
