using Hearth.Images.Layers;
using Hearth.Images.Oci;

namespace Hearth.Images.Building;

/// <summary>
/// One image being made of its layers, whose bytes are not to be trusted: here, or in a process that has nothing else.
/// Thread: layers from several at a time, then one.
/// </summary>
internal interface IImageBuild : IAsyncDisposable
{
    /// <summary>Reads what is in a layer.</summary>
    /// <param name="layer">0 for the lowest.</param>
    /// <param name="path">The blob, whose own digest was checked.</param>
    /// <param name="diffId">The digest that it is to have uncompressed.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="ImageException">It is malformed, too large, or another.</exception>
    Task AddLayerAsync(int layer, string path, Digest diffId, CancellationToken cancellation);

    /// <summary>Writes the file system image, when all layers are there.</summary>
    /// <param name="identity">The manifest's digest.</param>
    /// <param name="path">A file that is not there yet.</param>
    /// <param name="onShare">Told how much of the work is done, from 0 to 1.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="ImageException">The layers do not fit together.</exception>
    Task<FlattenedImage> WriteAsync(Digest identity, string path, Action<double> onShare, CancellationToken cancellation);
}
