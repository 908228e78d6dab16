using System.Text.Json;
using Hearth.Images.Layers;
using Hearth.Images.Oci;
using Hearth.Images.Registries;
using Hearth.Linux;

namespace Hearth.Images.Store;

/// <summary>Names and records: what is here, and what may go.</summary>
public sealed partial class ImageStore
{
    private const string LockSuffix = ".lock";
    private const string WorkSuffix = ".work";
    private const string RecordFile = "image.json";
    private const string HoldFile = "held";
    private const string ManifestFile = "manifest.json";
    private const int MinIdDigits = 6;

    // How long a transfer that was broken off may still be gone on with.
    private static readonly TimeSpan s_keepPartials = TimeSpan.FromHours(24);

    /// <summary>All images, those without a name too.</summary>
    public IReadOnlyList<Image> List()
    {
        ILookup<string, ReferenceRecord> names = ReadReferences().Select(read => read.Record).ToLookup(record => record.Manifest);
        var images = new List<Image>();
        foreach (string folder in Folders(ImagesFolder))
        {
            if (Read(Path.Combine(folder, RecordFile), OciJson.Default.ImageRecord) is { } record && FolderOf(Digest.Parse(record.Manifest)) == folder)
            {
                images.Add(ToImage(folder, record, names[record.Manifest]));
            }
        }

        return [.. images.OrderBy(image => image.Tags.Concat(image.Digests).FirstOrDefault() ?? "~", StringComparer.Ordinal)];
    }

    /// <summary>Looks an image up by name, name with digest, ID, the start of an ID, or the digest of its manifest.</summary>
    /// <returns>Null where there is none, or where the start of an ID fits several.</returns>
    public Image? Find(string nameOrId)
    {
        IReadOnlyList<Image> images = List();
        if (Digest.TryParse(nameOrId, out Digest digest))
        {
            return images.FirstOrDefault(image => image.Manifest == digest || image.Id == digest);
        }

        string bare = nameOrId.StartsWith("sha256:", StringComparison.Ordinal) ? nameOrId["sha256:".Length..] : nameOrId;
        if (bare.Length >= MinIdDigits && !bare.AsSpan().ContainsAnyExcept("0123456789abcdef")
            && images.Where(image => image.Id.Hex.StartsWith(bare, StringComparison.Ordinal)).DistinctBy(image => image.Id).ToArray() is [var one])
        {
            return one;
        }

        if (!ImageReference.TryParse(nameOrId, out ImageReference? reference))
        {
            return null;
        }

        string wanted = reference.Digest is { } named ? $"{reference.Name}@{named}" : reference.ToString();
        return images.FirstOrDefault(image => image.Tags.Contains(wanted) || image.Digests.Contains(wanted));
    }

    /// <summary>Takes a name away; or, given an ID or a digest, all names of the image.</summary>
    /// <returns>The names that are gone; empty where there was nothing of the kind. What no name leads to any more, garbage collection removes.</returns>
    public IReadOnlyList<string> Untag(string nameOrId)
    {
        if (Find(nameOrId) is not { } image)
        {
            return [];
        }

        bool byName = ImageReference.TryParse(nameOrId, out ImageReference? reference) && (reference.Digest is not null || image.Tags.Contains(reference.ToString()));
        var gone = new List<string>();
        foreach ((string path, ReferenceRecord record) in ReadReferences())
        {
            bool named = reference?.Digest is { } digest
                ? record.Digest == digest.ToString() && ImageReference.Parse(record.Name).Name == reference.Name
                : record.Name == reference?.ToString();
            if (record.Manifest == image.Manifest.ToString() && (!byName || named))
            {
                File.Delete(path);
                gone.Add(record.Name);
            }
        }

        return gone;
    }

    /// <summary>Keeps an image from being collected, until the result is disposed or this process ends.</summary>
    /// <exception cref="ImageException">It is not here any more.</exception>
    public IDisposable Hold(Image image) =>
        (Directory.Exists(image.Folder) ? FileLock.TryShared(Path.Combine(image.Folder, HoldFile)) : null)
        ?? throw new ImageException(ImageFault.NotFound, $"The image {image.Id} was removed. Pull it again.");

    /// <summary>
    /// Removes images that have no name, are not held and not among <paramref name="inUse"/>, content that no image is made of,
    /// and what broken transfers left. Does nothing while an image is being pulled.
    /// </summary>
    /// <param name="inUse">Digests of manifests, or IDs.</param>
    /// <returns>The images that are gone.</returns>
    public IReadOnlyList<Image> CollectGarbage(IReadOnlySet<Digest>? inUse = null)
    {
        if (!Directory.Exists(Root))
        {
            return [];
        }

        using FileStream? alone = FileLock.TryExclusive(LockPath);
        if (alone is null)
        {
            return [];
        }

        var gone = new List<Image>();
        var kept = new HashSet<string>(StringComparer.Ordinal);
        var folders = new HashSet<string>(StringComparer.Ordinal);
        foreach (Image image in List())
        {
            bool used = image.Tags.Count + image.Digests.Count > 0 || inUse?.Contains(image.Manifest) == true || inUse?.Contains(image.Id) == true;
            if (!used && TryRemove(image))
            {
                gone.Add(image);
                continue;
            }

            folders.Add(image.Folder);
            kept.UnionWith(Read(Path.Combine(image.Folder, RecordFile), OciJson.Default.ImageRecord)?.Blobs.Select(blob => _blobs.PathOf(Digest.Parse(blob))) ?? []);
        }

        Sweep(folders, kept);
        return gone;
    }

    /// <summary>What the store takes of the disk.</summary>
    public StoreUsage Usage()
    {
        long bytes = 0;
        long inodes = 0;
        if (Directory.Exists(Root))
        {
            foreach (FileSystemInfo entry in new DirectoryInfo(Root).EnumerateFileSystemInfos("*", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = 0 }))
            {
                inodes++;
                bytes += AllocatedBytes(entry);
            }
        }

        return new StoreUsage(bytes, inodes);
    }

    private static long AllocatedBytes(FileSystemInfo entry)
    {
        try
        {
            return FileAllocation.BytesOf(entry.FullName);
        }
        catch (LinuxException e) when (e.Errno == Errno.ENOENT)
        {
            // Removed since it was listed.
            return 0;
        }
    }

    private static bool TryRemove(Image image)
    {
        using (FileStream? alone = FileLock.TryExclusive(Path.Combine(image.Folder, HoldFile)))
        {
            if (alone is null)
            {
                return false;
            }

            // The record goes first: without it the folder is no image, also if this process ends here.
            File.Delete(Path.Combine(image.Folder, RecordFile));
        }

        DeleteFolder(image.Folder);
        return true;
    }

    private void Sweep(HashSet<string> folders, HashSet<string> blobs)
    {
        foreach (string folder in Folders(ImagesFolder).Where(folder => !folders.Contains(folder)))
        {
            DeleteFolder(folder);
        }

        foreach (string file in Files(ImagesFolder).Concat(Folders(Path.Combine(Root, "blobs")).SelectMany(Files)).Where(file => !blobs.Contains(file)))
        {
            File.Delete(file);
        }

        foreach (string file in Files(IngestFolder))
        {
            var partial = new FileInfo(file);
            if (partial.Length == 0 || !file.EndsWith(BlobStore.PartialSuffix, StringComparison.Ordinal) || partial.LastWriteTimeUtc < DateTime.UtcNow - s_keepPartials)
            {
                partial.Delete();
            }
        }

        foreach (string file in Files(ReferencesFolder).Where(file => !file.EndsWith(".json", StringComparison.Ordinal)))
        {
            File.Delete(file);
        }
    }

    private string FolderOf(Digest manifest) => Path.Combine(ImagesFolder, $"{manifest.Algorithm}-{manifest.Hex}-v{Flattening.FormatVersion}");

    private static void WriteRecord(string folder, ImageRecord record) =>
        DurableFile.Write(Path.Combine(folder, RecordFile), JsonSerializer.SerializeToUtf8Bytes(record, OciJson.Default.ImageRecord));

    private void WriteReference(ReferenceRecord record)
    {
        string path = Path.Combine(ReferencesFolder, Digest.Of(System.Text.Encoding.UTF8.GetBytes(record.Name)).Hex + ".json");
        DurableFile.Write(path, JsonSerializer.SerializeToUtf8Bytes(record, OciJson.Default.ReferenceRecord));
    }

    private static Image ToImage(string folder, ImageRecord record, IEnumerable<ReferenceRecord> names)
    {
        (ImageReference Reference, string Digest)[] references = [.. names.Select(name => (ImageReference.Parse(name.Name), name.Digest))];
        return new Image
        {
            Id = Digest.Parse(record.Id),
            Manifest = Digest.Parse(record.Manifest),
            Tags = [.. references.Where(name => name.Reference is { Tag: not null, Digest: null }).Select(name => name.Reference.ToString()).Order(StringComparer.Ordinal)],
            Digests = [.. references.Select(name => $"{name.Reference.Name}@{name.Digest}").Distinct().Order(StringComparer.Ordinal)],
            SizeBytes = record.Size,
            Inodes = record.Inodes,
            Created = record.Created,
            Config = record.Config.Checked(),
            Folder = folder,
        };
    }

    private IEnumerable<(string Path, ReferenceRecord Record)> ReadReferences()
    {
        foreach (string path in Files(ReferencesFolder).Where(path => path.EndsWith(".json", StringComparison.Ordinal)))
        {
            if (Read(path, OciJson.Default.ReferenceRecord) is { } record && ImageReference.TryParse(record.Name, out _))
            {
                yield return (path, record);
            }
        }
    }

    /// <summary>Null for what is gone, or is not this version's.</summary>
    private static T? Read<T>(string path, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type)
        where T : class
    {
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(path), type);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException or JsonException)
        {
            return null;
        }
    }

    private static string[] Folders(string path) => Directory.Exists(path) ? Directory.GetDirectories(path) : [];

    private static string[] Files(string path) => Directory.Exists(path) ? Directory.GetFiles(path) : [];

    private static void DeleteFolder(string path)
    {
        if (Directory.Exists(path))
        {
            Directory.Delete(path, recursive: true);
        }
    }
}
