using Hearth.Images.Oci;
using Hearth.Images.Registries;

namespace Hearth.Images.Archives;

/// <summary>An image in an archive: its manifest, what the archive calls it, and the digest it is known by.</summary>
/// <param name="Json">The manifest's document.</param>
/// <param name="Manifest">What it says.</param>
/// <param name="Digest">Of the document.</param>
/// <param name="Names">As the archive has them: full references, tags, or nothing.</param>
internal sealed record ArchivedImage(byte[] Json, Manifest Manifest, Digest Digest, IReadOnlyList<string> Names);

/// <summary>A file or folder with images in it. It may be anybody's.</summary>
internal interface IImageArchive : IBlobSource, IDisposable
{
    /// <exception cref="ImageException">It is malformed.</exception>
    IReadOnlyList<ArchivedImage> ReadImages();
}
