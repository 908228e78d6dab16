using System.Text.Json.Serialization;

namespace Hearth.Images.Store;

/// <summary>A name and what it stands for; a file of its own, so that moving a tag is one rename.</summary>
internal sealed record ReferenceRecord
{
    /// <summary>In full, with a tag or a digest.</summary>
    [JsonPropertyName("name")]
    public required string Name { get; init; }

    /// <summary>What the registry calls it: the digest of the index, or of the manifest.</summary>
    [JsonPropertyName("digest")]
    public required string Digest { get; init; }

    /// <summary>The manifest for this machine.</summary>
    [JsonPropertyName("manifest")]
    public required string Manifest { get; init; }
}

/// <summary>What is kept of a flattened image, beside it.</summary>
internal sealed record ImageRecord
{
    [JsonPropertyName("manifest")]
    public required string Manifest { get; init; }

    /// <summary>The digest of the configuration: the image's ID.</summary>
    [JsonPropertyName("id")]
    public required string Id { get; init; }

    /// <summary>The digests of all content it was made of.</summary>
    [JsonPropertyName("blobs")]
    public required IReadOnlyList<string> Blobs { get; init; }

    /// <summary>Bytes of that content.</summary>
    [JsonPropertyName("size")]
    public required long Size { get; init; }

    /// <summary>Files, folders and links in it.</summary>
    [JsonPropertyName("inodes")]
    public required int Inodes { get; init; }

    [JsonPropertyName("created")]
    public string? Created { get; init; }

    [JsonPropertyName("config")]
    public required Oci.ImageConfig Config { get; init; }
}
