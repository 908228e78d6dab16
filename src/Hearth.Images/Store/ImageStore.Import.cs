using Hearth.Images.Archives;
using Hearth.Images.Layers;
using Hearth.Images.Registries;
using Hearth.Linux;

namespace Hearth.Images.Store;

/// <summary>Images from this machine's files.</summary>
public sealed partial class ImageStore
{
    /// <summary>Brings the images of an OCI layout (a folder), an OCI archive or a docker-archive (files, perhaps compressed).</summary>
    /// <param name="path">The file or folder.</param>
    /// <param name="name">What the image is to be called; null for the names that the archive has.</param>
    /// <param name="progress">Told of the steps.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="ImageException">It is none, or malformed.</exception>
    public async Task<IReadOnlyList<Image>> ImportAsync(
        string path, ImageReference? name = null, IProgress<ImageProgress>? progress = null, CancellationToken cancellation = default)
    {
        try
        {
            MakeRoot();
            Directory.CreateDirectory(IngestFolder);
            progress?.Report(new ImageProgress($"Reading {path}"));
            // The archive, unpacked, is not garbage while it is read.
            using FileStream held = await FileLock.WaitAsync(() => FileLock.TryShared(LockPath), cancellation).ConfigureAwait(false);
            using IImageArchive archive = Directory.Exists(path)
                ? new LayoutFolder(path)
                : ArchiveFile.Open(path, Path.Combine(IngestFolder, $"{Guid.NewGuid():N}.spool"), new ImageBudget(_limits), cancellation);
            IReadOnlyList<ArchivedImage> found = archive.ReadImages();
            if (found.Count == 0 || (name is not null && found.Count > 1))
            {
                throw new ImageException(ImageFault.NotFound, $"{path} has {found.Count} images{(name is null ? "" : ", and one name was given for them")}.");
            }

            var images = new List<Image>();
            foreach (ArchivedImage image in found)
            {
                string[] names = name is not null ? [name.ToString()] : Names(image, path);
                var content = new ImageContent(names[0], image.Digest, image.Json, image.Manifest, archive);
                images.Add(await KeepAsync(content, [.. names.Select(n => (n, image.Digest))], progress, cancellation).ConfigureAwait(false));
            }

            return images;
        }
        catch (Exception e) when (DurableFile.IsFull(e))
        {
            throw StoreFailure.Of(e, Root);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            throw new ImageException($"Cannot read {path}: {e.Message}", e);
        }
    }

    /// <summary>An archive may have full names, a tag alone (<c>skopeo copy … oci:DIR:TAG</c>), or nothing; then the file's name serves.</summary>
    private static string[] Names(ArchivedImage image, string path)
    {
        string[] full = [.. image.Names.Where(n => n.Contains('/') || n.Contains(':')).Where(n => ImageReference.TryParse(n, out _)).Select(n => ImageReference.Parse(n).ToString())];
        if (full.Length > 0)
        {
            return full;
        }

        string file = Path.GetFileName(Path.TrimEndingDirectorySeparator(path)).ToLowerInvariant().Split('.')[0];
        string tag = image.Names.FirstOrDefault() ?? "latest";
        return ImageReference.TryParse($"localhost/{file}:{tag}", out ImageReference? made)
            ? [made.ToString()]
            : throw new ImageException(ImageFault.InvalidReference, $"{path} does not say what its image is called. Say it: --name NAME:TAG.");
    }
}
