using Hearth.Images.Layers;
using Hearth.Images.Oci;
using Microsoft.Win32.SafeHandles;

namespace Hearth.Images.Building;

/// <summary>A build in this process.</summary>
internal sealed class OwnBuild(int layers, ImageLimits limits) : IImageBuild
{
    private readonly ImageBudget _budget = new(limits);
    private readonly (LayerArchive Archive, LayerTree Tree)[] _layers = new (LayerArchive, LayerTree)[layers];

    public Task AddLayerAsync(int layer, string path, Digest diffId, CancellationToken cancellation)
    {
        Add(layer, new LayerArchive(path, diffId, layer), cancellation);
        return Task.CompletedTask;
    }

    /// <summary>Reads a layer of a file that is open.</summary>
    public void AddLayer(int layer, SafeFileHandle file, Digest diffId, CancellationToken cancellation) => Add(layer, new LayerArchive(file, diffId, layer), cancellation);

    public async Task<FlattenedImage> WriteAsync(Digest identity, string path, Action<double> onShare, CancellationToken cancellation)
    {
        using SafeFileHandle file = File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None);
        return await WriteAsync(identity, file, onShare, cancellation).ConfigureAwait(false);
    }

    /// <summary>Writes the image to a file that is open, and empty.</summary>
    public Task<FlattenedImage> WriteAsync(Digest identity, SafeFileHandle file, Action<double> onShare, CancellationToken cancellation) =>
        Flattening.WriteAsync(_layers, identity, file, onShare, cancellation);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private void Add(int layer, LayerArchive archive, CancellationToken cancellation) => _layers[layer] = (archive, archive.ReadTree(_budget, cancellation));
}
