using Hearth.Images.Oci;

namespace Hearth.Images.Archives;

/// <summary>Reads an OCI layout's index, wherever the layout is.</summary>
internal static class OciLayout
{
    private const int MaxImages = 1000;
    private const string NameAnnotation = "org.opencontainers.image.ref.name";
    private const string ContainerdNameAnnotation = "io.containerd.image.name";

    /// <summary>The images for this machine.</summary>
    /// <param name="index">The index's document.</param>
    /// <param name="read">Reads small content; what it gives is checked here.</param>
    /// <param name="archive">For messages.</param>
    public static IReadOnlyList<ArchivedImage> Images(byte[] index, Func<Descriptor, byte[]> read, string archive)
    {
        if (ImageDocuments.ParseManifest(index, archive) is not ImageIndex { Manifests.Count: <= MaxImages } top)
        {
            throw new ImageException(ImageFault.BadContent, $"{archive} has an index.json that is no index of at most {MaxImages} images. Have it exported again.");
        }

        var images = new List<ArchivedImage>();
        foreach (Descriptor entry in top.Manifests)
        {
            byte[] json = ReadChecked(entry, read, archive);
            object document = ImageDocuments.ParseManifest(json, archive);
            Digest digest = entry.Digest;
            if (document is ImageIndex inner)
            {
                Descriptor chosen = inner.ForThisMachine(archive);
                json = ReadChecked(chosen, read, archive);
                digest = chosen.Digest;
                document = ImageDocuments.ParseManifest(json, archive);
            }

            images.Add(new ArchivedImage(
                json,
                document as Manifest ?? throw new ImageException(ImageFault.BadContent, $"{archive} has indexes of indexes of indexes, and no image."),
                digest,
                Names(entry)));
        }

        return images;
    }

    private static byte[] ReadChecked(Descriptor entry, Func<Descriptor, byte[]> read, string archive)
    {
        byte[] json = read(entry);
        return entry.Digest.Names(json)
            ? json
            : throw new ImageException(ImageFault.BadContent, $"{archive} has other bytes for {entry.Digest} than that digest names. Have it exported again.");
    }

    private static string[] Names(Descriptor entry)
    {
        string? name = entry.Annotations?.GetValueOrDefault(ContainerdNameAnnotation) ?? entry.Annotations?.GetValueOrDefault(NameAnnotation);
        return string.IsNullOrEmpty(name) ? [] : [name];
    }
}
