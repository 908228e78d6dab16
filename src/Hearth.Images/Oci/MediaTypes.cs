namespace Hearth.Images.Oci;

/// <summary>The media types of images that are read. Source: OCI image-spec, media-types.md; Docker image manifest v2, schema 2.</summary>
internal static class MediaTypes
{
    public const string OciManifest = "application/vnd.oci.image.manifest.v1+json";
    public const string OciIndex = "application/vnd.oci.image.index.v1+json";
    public const string OciConfig = "application/vnd.oci.image.config.v1+json";
    public const string OciLayer = "application/vnd.oci.image.layer.v1.tar";
    public const string DockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
    public const string DockerIndex = "application/vnd.docker.distribution.manifest.list.v2+json";

    private static readonly string[] s_layerPrefixes =
        ["application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs."];

    /// <summary>What a registry may answer with when it is asked for a manifest.</summary>
    public static string[] Accepted => [OciManifest, OciIndex, DockerManifest, DockerIndex];

    public static bool IsIndex(string? mediaType) => mediaType is OciIndex or DockerIndex;

    /// <summary>A layer of files. Signatures, attestations and other artifacts travel as "layers" too.</summary>
    public static bool IsLayer(string? mediaType) =>
        s_layerPrefixes.Any(prefix => mediaType?.StartsWith(prefix, StringComparison.Ordinal) == true);
}
