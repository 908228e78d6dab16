using System.Text.Json.Serialization;

namespace Hearth.Images.Oci;

/// <summary>A reference to content. Source: OCI image-spec, descriptor.md.</summary>
internal sealed record Descriptor
{
    [JsonPropertyName("mediaType")]
    public string? MediaType { get; init; }

    [JsonPropertyName("digest")]
    public string? DigestText { get; init; }

    /// <summary>Bytes.</summary>
    [JsonPropertyName("size")]
    public long Size { get; init; } = -1;

    [JsonPropertyName("platform")]
    public Platform? Platform { get; init; }

    [JsonPropertyName("annotations")]
    public Dictionary<string, string>? Annotations { get; init; }

    [JsonIgnore]
    public Digest Digest => Digest.Parse(DigestText);
}

/// <summary>What an image runs on. Source: OCI image-spec, image-index.md.</summary>
internal sealed record Platform
{
    [JsonPropertyName("architecture")]
    public string? Architecture { get; init; }

    [JsonPropertyName("os")]
    public string? Os { get; init; }

    [JsonPropertyName("variant")]
    public string? Variant { get; init; }

    public override string ToString() => string.Join('/', new[] { Os, Architecture, Variant }.Where(part => !string.IsNullOrEmpty(part)));
}

/// <summary>A manifest or an index, as it stands in its document; <see cref="Manifest"/> and <see cref="ImageIndex"/> are what is checked.</summary>
internal sealed record ManifestDocument
{
    [JsonPropertyName("schemaVersion")]
    public int SchemaVersion { get; init; }

    [JsonPropertyName("mediaType")]
    public string? MediaType { get; init; }

    [JsonPropertyName("config")]
    public Descriptor? Config { get; init; }

    [JsonPropertyName("layers")]
    public List<Descriptor?>? Layers { get; init; }

    [JsonPropertyName("manifests")]
    public List<Descriptor?>? Manifests { get; init; }
}

/// <summary>The configuration document of an image. Source: OCI image-spec, config.md.</summary>
internal sealed record ConfigDocument
{
    [JsonPropertyName("architecture")]
    public string? Architecture { get; init; }

    [JsonPropertyName("os")]
    public string? Os { get; init; }

    [JsonPropertyName("created")]
    public string? Created { get; init; }

    [JsonPropertyName("config")]
    public ImageConfig? Config { get; init; }

    [JsonPropertyName("rootfs")]
    public RootFilesystemDocument? RootFilesystem { get; init; }
}

/// <summary>The layers of an image by the digests of their uncompressed tar archives, the lowest first.</summary>
internal sealed record RootFilesystemDocument
{
    [JsonPropertyName("type")]
    public string? Type { get; init; }

    [JsonPropertyName("diff_ids")]
    public List<string?>? DiffIds { get; init; }
}

/// <summary>An entry of a docker-archive's <c>manifest.json</c>.</summary>
internal sealed record DockerArchiveImage
{
    public string? Config { get; init; }

    public List<string?>? RepoTags { get; init; }

    public List<string?>? Layers { get; init; }
}
