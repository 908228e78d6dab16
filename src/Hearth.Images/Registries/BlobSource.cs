using Hearth.Images.Oci;

namespace Hearth.Images.Registries;

/// <summary>Where the content of an image comes from: a registry, or an archive or folder on this machine.</summary>
internal interface IBlobSource
{
    /// <summary>Opens content from a byte on.</summary>
    /// <returns>The content from <see cref="BlobContent.Offset"/> on, which is 0 where the source cannot begin elsewhere.</returns>
    /// <exception cref="ImageException">It is not there, or not to be had.</exception>
    Task<BlobContent> OpenAsync(Descriptor blob, long offset, CancellationToken cancellation);
}

/// <summary>Content being read. What it says was not checked.</summary>
internal sealed class BlobContent(Stream stream, long offset, IDisposable? owner = null) : IDisposable
{
    public Stream Stream { get; } = stream;

    public long Offset { get; } = offset;

    public void Dispose()
    {
        Stream.Dispose();
        owner?.Dispose();
    }
}
