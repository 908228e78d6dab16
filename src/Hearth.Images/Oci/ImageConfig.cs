using System.Text.Json;
using System.Text.Json.Serialization;

namespace Hearth.Images.Oci;

/// <summary>
/// How an image wants its container run. Every list is there, and empty where the image says nothing.
/// Source: OCI image-spec, config.md, "config".
/// </summary>
public sealed record ImageConfig
{
    /// <summary><c>user</c>, <c>uid</c>, <c>user:group</c>, …: see <see cref="Hearth.Images.ImageUsers"/>. Empty for root.</summary>
    [JsonPropertyName("User")]
    public string User { get; init; } = string.Empty;

    /// <summary>The program, and arguments that stand before those of <see cref="Cmd"/>.</summary>
    [JsonPropertyName("Entrypoint")]
    public IReadOnlyList<string> Entrypoint { get; init; } = [];

    /// <summary>Arguments for the entry point, or the program where there is none; what a person gives stands in its place.</summary>
    [JsonPropertyName("Cmd")]
    public IReadOnlyList<string> Cmd { get; init; } = [];

    /// <summary><c>NAME=value</c>.</summary>
    [JsonPropertyName("Env")]
    public IReadOnlyList<string> Env { get; init; } = [];

    [JsonPropertyName("WorkingDir")]
    public string WorkingDir { get; init; } = string.Empty;

    /// <summary><c>SIGTERM</c>, <c>15</c>, …; empty for SIGTERM.</summary>
    [JsonPropertyName("StopSignal")]
    public string StopSignal { get; init; } = string.Empty;

    /// <summary>Paths that hold data of the container's own.</summary>
    [JsonIgnore]
    public IEnumerable<string> Volumes => VolumeSet.Keys;

    /// <summary><c>80/tcp</c>, <c>53/udp</c>, …</summary>
    [JsonIgnore]
    public IEnumerable<string> ExposedPorts => PortSet.Keys;

    [JsonPropertyName("Labels")]
    public IReadOnlyDictionary<string, string> Labels { get; init; } = new Dictionary<string, string>();

    // Go's map[string]struct{}: the values are empty objects.
    [JsonInclude]
    [JsonPropertyName("Volumes")]
    internal Dictionary<string, JsonElement> VolumeSet { get; init; } = [];

    [JsonInclude]
    [JsonPropertyName("ExposedPorts")]
    internal Dictionary<string, JsonElement> PortSet { get; init; } = [];

    /// <summary>The same with nothing missing: JSON may say <c>null</c> for a list, and in one.</summary>
    internal ImageConfig Checked()
    {
        IReadOnlyList<string>[] lists = [Entrypoint ?? [], Cmd ?? [], Env ?? []];
        foreach (string? text in lists.SelectMany(list => list).Append(User ?? "").Append(WorkingDir ?? "").Append(StopSignal ?? ""))
        {
            if (text is null || text.Contains('\0'))
            {
                throw new ImageException(ImageFault.BadContent, "The image's configuration has a null, or a string with a NUL character, where the OCI specification wants text. Have it built again.");
            }
        }

        return this with
        {
            User = User ?? string.Empty,
            WorkingDir = WorkingDir ?? string.Empty,
            StopSignal = StopSignal ?? string.Empty,
            Entrypoint = lists[0],
            Cmd = lists[1],
            Env = lists[2],
            Labels = Labels ?? new Dictionary<string, string>(),
            VolumeSet = VolumeSet ?? [],
            PortSet = PortSet ?? [],
        };
    }
}
