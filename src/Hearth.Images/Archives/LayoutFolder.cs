using Hearth.Images.Oci;
using Hearth.Images.Registries;

namespace Hearth.Images.Archives;

/// <summary>An OCI layout in a folder. Source: OCI image-spec, image-layout.md.</summary>
internal sealed class LayoutFolder(string path) : IImageArchive
{
    public const string IndexFile = "index.json";

    public IReadOnlyList<ArchivedImage> ReadImages() => OciLayout.Images(ReadFile(Path.Combine(path, IndexFile)), blob => ReadFile(PathOf(blob)), path);

    public Task<BlobContent> OpenAsync(Descriptor blob, long offset, CancellationToken cancellation)
    {
        try
        {
            return Task.FromResult(new BlobContent(new FileStream(PathOf(blob), FileMode.Open, FileAccess.Read, FileShare.Read) { Position = offset }, offset));
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw Missing(blob, path, e);
        }
    }

    public static ImageException Missing(Descriptor blob, string archive, Exception? cause = null) =>
        new(ImageFault.NotFound, $"{archive} does not have {blob.Digest}, which its image is made of. Have it exported again.", cause);

    public void Dispose()
    {
    }

    private string PathOf(Descriptor blob) => Path.Combine(path, "blobs", blob.Digest.Algorithm, blob.Digest.Hex);

    private byte[] ReadFile(string file)
    {
        try
        {
            return new FileInfo(file).Length <= Manifest.MaxDocumentBytes
                ? File.ReadAllBytes(file)
                : throw new ImageException(ImageFault.TooLarge, $"{file} is larger than {Manifest.MaxDocumentBytes} bytes, which is the most for a document.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ImageException(ImageFault.NotFound, $"{path} is no OCI layout: {e.Message}", e);
        }
    }
}
