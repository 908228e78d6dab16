using System.Text.Json;

namespace Hearth.Images.Oci;

/// <summary>An image manifest whose parts were checked: a configuration, and the layers, the lowest first.</summary>
internal sealed record Manifest(Descriptor Config, IReadOnlyList<Descriptor> Layers)
{
    /// <summary>More than any builder makes: overlayfs takes 500, Docker 127.</summary>
    public const int MaxLayers = 1024;

    /// <summary>Bytes of a manifest, index or configuration; registries take 4 MiB at most.</summary>
    public const int MaxDocumentBytes = 8 << 20;
}

/// <summary>An index whose parts were checked.</summary>
internal sealed record ImageIndex(IReadOnlyList<Descriptor> Manifests)
{
    private const string Architecture = "amd64";
    private const string OperatingSystem = "linux";

    /// <summary>The manifest for linux/amd64.</summary>
    /// <exception cref="ImageException">There is none.</exception>
    public Descriptor ForThisMachine(string name)
    {
        Descriptor[] candidates = [.. Manifests.Where(entry => entry.MediaType is null or MediaTypes.OciManifest or MediaTypes.DockerManifest || MediaTypes.IsIndex(entry.MediaType))];
        return candidates.FirstOrDefault(entry => entry.Platform is { Os: OperatingSystem, Architecture: Architecture })
            // An index of one image need not say what it is for.
            ?? (candidates is [{ Platform: null } only] ? only : null)
            ?? throw new ImageException(
                ImageFault.NotFound,
                $"{name} has no image for {OperatingSystem}/{Architecture}; it is made for: {string.Join(", ", candidates.Select(entry => entry.Platform?.ToString() ?? "?").Distinct().Take(20))}.");
    }
}

/// <summary>Reads and checks the JSON documents of images. The documents are anybody's.</summary>
internal static class ImageDocuments
{
    /// <summary>Reads a manifest or an index.</summary>
    /// <returns>Either <see cref="Manifest"/> or <see cref="ImageIndex"/>.</returns>
    /// <exception cref="ImageException">It is neither.</exception>
    public static object ParseManifest(ReadOnlySpan<byte> json, string name)
    {
        ManifestDocument document = Parse(json, OciJson.Default.ManifestDocument, $"The manifest of {name}");
        if (document.SchemaVersion == 1)
        {
            throw Bad($"The manifest of {name} is of Docker's schema 1, which is not read. Have the image built again or converted (skopeo copy).");
        }

        // One document that reads as two things is how a check of one is passed with the other (CVE-2021-41190).
        if (document.Manifests is not null == (document.Layers is not null || document.Config is not null))
        {
            throw Bad($"The manifest of {name} is neither plainly an image's (config, layers) nor plainly an index (manifests). Have it pushed again.");
        }

        if (document.Manifests is { } manifests)
        {
            return new ImageIndex([.. manifests.Select(entry => Check(entry, name))]);
        }

        if (document.Layers is not { Count: <= Manifest.MaxLayers } layers)
        {
            throw Bad($"The manifest of {name} has no list of layers, or more than {Manifest.MaxLayers}.");
        }

        var manifest = new Manifest(Check(document.Config, name), [.. layers.Select(layer => Check(layer, name))]);
        if (manifest.Layers.FirstOrDefault(layer => !MediaTypes.IsLayer(layer.MediaType)) is { } other)
        {
            throw Bad($"{name} is no container image: it holds \"{other.MediaType}\", which is no layer of files.");
        }

        return manifest;
    }

    /// <summary>Reads a configuration, and checks that it fits a manifest of so many layers.</summary>
    /// <exception cref="ImageException">It does not.</exception>
    public static (ImageConfig Config, Digest[] DiffIds, string? Created) ParseConfig(ReadOnlySpan<byte> json, int layers, string name)
    {
        ConfigDocument document = Parse(json, OciJson.Default.ConfigDocument, $"The configuration of {name}");
        Digest[] diffIds = [.. (document.RootFilesystem?.DiffIds ?? []).Select(Digest.Parse)];
        if (diffIds.Length != layers)
        {
            throw Bad($"The configuration of {name} tells of {diffIds.Length} layers and its manifest of {layers}. Have it pushed again.");
        }

        if (document.Os is { Length: > 0 } os && os != "linux")
        {
            throw new ImageException(ImageFault.NotFound, $"{name} is an image for {os}, and Hearth's guests run Linux.");
        }

        return ((document.Config ?? new ImageConfig()).Checked(), diffIds, document.Created);
    }

    public static T Parse<T>(ReadOnlySpan<byte> json, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type, string what)
        where T : class
    {
        if (json.Length > Manifest.MaxDocumentBytes)
        {
            throw new ImageException(ImageFault.TooLarge, $"{what} has {json.Length} bytes; {Manifest.MaxDocumentBytes} is the most.");
        }

        try
        {
            return JsonSerializer.Deserialize(json, type) ?? throw Bad($"{what} is empty. Have it pushed again.");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new ImageException(ImageFault.BadContent, $"{what} cannot be read: {e.Message}", e);
        }
    }

    private static Descriptor Check(Descriptor? descriptor, string name)
    {
        if (descriptor is null || descriptor.Size < 0)
        {
            throw Bad($"The manifest of {name} lists content without a size. Have it pushed again.");
        }

        _ = descriptor.Digest;
        return descriptor;
    }

    private static ImageException Bad(string message) => new(ImageFault.BadContent, message);
}
