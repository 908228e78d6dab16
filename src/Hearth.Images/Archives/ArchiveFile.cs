using System.Security.Cryptography;
using System.Text.Json;
using Hearth.Images.Layers;
using Hearth.Images.Oci;
using Hearth.Images.Registries;
using Hearth.Images.Tar;

namespace Hearth.Images.Archives;

/// <summary>
/// A tar archive with images in it, read in place: an OCI archive (an OCI layout, packed), or what <c>docker save</c>
/// writes. Names in the archive are looked up in a table, and never become paths.
/// Source: OCI image-spec, image-layout.md; Docker image-spec v1.2, "Combined Image JSON + Filesystem Changeset Format".
/// </summary>
internal sealed class ArchiveFile : IImageArchive
{
    private const string DockerManifestFile = "manifest.json";
    private const string DockerLayerType = "application/vnd.docker.image.rootfs.diff.tar";
    private const string DockerConfigType = "application/vnd.docker.container.image.v1+json";
    private const int MaxEntries = 100_000;
    private const int MaxLinks = 8;

    private readonly string _path;
    private readonly string _name;
    private readonly string? _temporary;
    private readonly Dictionary<string, Section> _sections = new(StringComparer.Ordinal);
    private readonly Dictionary<Digest, Section> _blobs = [];

    private ArchiveFile(string path, string name, string? temporary)
    {
        (_path, _name, _temporary) = (path, name, temporary);
    }

    /// <summary>Opens an archive, and finds out what is where in it.</summary>
    /// <param name="path">The archive, perhaps in gzip or zstd.</param>
    /// <param name="spool">Where a compressed one is unpacked to, as one file that is gone on disposal.</param>
    /// <param name="budget">What that file may cost.</param>
    /// <param name="cancellation">Ends it.</param>
    public static ArchiveFile Open(string path, string spool, ImageBudget budget, CancellationToken cancellation)
    {
        string? temporary = null;
        using (Stream content = LayerArchive.Open(path))
        {
            if (content is not FileStream)
            {
                temporary = spool;
                Spool(content, spool, budget, cancellation);
            }
        }

        var archive = new ArchiveFile(temporary ?? path, path, temporary);
        try
        {
            archive.FindSections(cancellation);
            return archive;
        }
        catch
        {
            archive.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        if (_temporary is not null)
        {
            File.Delete(_temporary);
        }
    }

    public IReadOnlyList<ArchivedImage> ReadImages()
    {
        if (_sections.ContainsKey(LayoutFolder.IndexFile))
        {
            return OciLayout.Images(ReadDocument(LayoutFolder.IndexFile), blob => ReadDocument(BlobName(blob)), _name);
        }

        if (_sections.ContainsKey(DockerManifestFile))
        {
            List<DockerArchiveImage> images = ImageDocuments.Parse(ReadDocument(DockerManifestFile), OciJson.Default.ListDockerArchiveImage, $"{DockerManifestFile} of {_name}");
            return [.. images.Select(ReadDockerImage)];
        }

        throw new ImageException(ImageFault.BadContent, $"{_name} is neither an OCI archive (index.json) nor a docker-archive (manifest.json).");
    }

    public Task<BlobContent> OpenAsync(Descriptor blob, long offset, CancellationToken cancellation)
    {
        if (!_blobs.TryGetValue(blob.Digest, out Section section) && !_sections.TryGetValue(BlobName(blob), out section))
        {
            throw LayoutFolder.Missing(blob, _name);
        }

        return Task.FromResult(new BlobContent(OpenSection(section, offset), offset));
    }

    private static string BlobName(Descriptor blob) => $"blobs/{blob.Digest.Algorithm}/{blob.Digest.Hex}";

    private static void Spool(Stream content, string path, ImageBudget budget, CancellationToken cancellation)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using var counted = new WatchedStream(content, hash, budget, cancellation);
        try
        {
            using var file = new FileStream(path, FileMode.Create, FileAccess.Write);
            counted.CopyTo(file);
        }
        catch
        {
            File.Delete(path);
            throw;
        }
    }

    private void FindSections(CancellationToken cancellation)
    {
        using var file = new FileStream(_path, FileMode.Open, FileAccess.Read, FileShare.Read);
        var reader = new TarReader(file);
        while (reader.Next() is { } entry)
        {
            cancellation.ThrowIfCancellationRequested();
            if (_sections.Count >= MaxEntries)
            {
                throw new ImageException(ImageFault.TooLarge, $"{_name} has more than {MaxEntries} entries, which no archive of images needs.");
            }

            if (entry.Kind is TarEntryKind.File or TarEntryKind.SymbolicLink or TarEntryKind.HardLink)
            {
                _sections[Normal(entry.Name)] = new Section(reader.Position, entry.Size, entry.Kind == TarEntryKind.File ? null : Target(entry));
            }
        }
    }

    private static string Normal(string name) => string.Join('/', name.Split('/').Where(part => part is not ("" or ".")));

    /// <summary>What a link means, as a name of the table: <c>../ID/layer.tar</c> beside <c>ID2/layer.tar</c>.</summary>
    private static string Target(TarEntry entry)
    {
        if (entry.Kind == TarEntryKind.HardLink)
        {
            return Normal(entry.LinkName);
        }

        var parts = new List<string>(Normal(entry.Name).Split('/')[..^1]);
        foreach (string part in Normal(entry.LinkName).Split('/'))
        {
            if (part != "..")
            {
                parts.Add(part);
            }
            else if (parts.Count > 0)
            {
                parts.RemoveAt(parts.Count - 1);
            }
        }

        return string.Join('/', parts);
    }

    private ArchivedImage ReadDockerImage(DockerArchiveImage? image)
    {
        if (image is not { Config: { } configName, Layers: { Count: <= Manifest.MaxLayers } layerNames })
        {
            throw new ImageException(ImageFault.BadContent, $"{DockerManifestFile} of {_name} tells of an image without a configuration or layers. Have it saved again.");
        }

        // What a registry would have as this image's manifest: the same archive gives the same document.
        var document = new ManifestDocument
        {
            SchemaVersion = 2,
            MediaType = MediaTypes.DockerManifest,
            Config = Describe(configName, DockerConfigType),
            Layers = [.. layerNames.Select(name => Describe(name, DockerLayerType))],
        };
        byte[] json = JsonSerializer.SerializeToUtf8Bytes(document, OciJson.Default.ManifestDocument);
        return new ArchivedImage(json, (Manifest)ImageDocuments.ParseManifest(json, _name), Digest.Of(json), [.. (image.RepoTags ?? []).OfType<string>()]);
    }

    private Descriptor Describe(string? name, string mediaType)
    {
        Section section = Resolve(name ?? string.Empty);
        using Stream content = OpenSection(section, 0);
        Digest digest = Digest.Parse("sha256:" + Convert.ToHexStringLower(SHA256.HashData(content)));
        _blobs[digest] = section;
        return new Descriptor { MediaType = mediaType, DigestText = digest.ToString(), Size = section.Size };
    }

    private byte[] ReadDocument(string name)
    {
        Section section = Resolve(name);
        if (section.Size > Manifest.MaxDocumentBytes)
        {
            throw new ImageException(ImageFault.TooLarge, $"{name} in {_name} has {section.Size} bytes; {Manifest.MaxDocumentBytes} is the most for a document.");
        }

        using Stream content = OpenSection(section, 0);
        var bytes = new byte[section.Size];
        content.ReadExactly(bytes);
        return bytes;
    }

    private Section Resolve(string name)
    {
        string wanted = Normal(RawName.Of(name));
        for (int links = 0; links <= MaxLinks && _sections.TryGetValue(wanted, out Section section); links++)
        {
            if (section.Link is null)
            {
                return section;
            }

            wanted = section.Link;
        }

        throw new ImageException(ImageFault.BadContent, $"{_name} does not have {RawName.Show(RawName.Of(name))}, which it tells of. Have it made again.");
    }

    private SectionStream OpenSection(Section section, long offset) =>
        new(new FileStream(_path, FileMode.Open, FileAccess.Read, FileShare.Read) { Position = section.Offset + offset }, section.Size - offset);

    private readonly record struct Section(long Offset, long Size, string? Link);
}
