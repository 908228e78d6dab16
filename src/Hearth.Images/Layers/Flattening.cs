using Hearth.Images.Erofs;
using Hearth.Images.Oci;
using Microsoft.Win32.SafeHandles;

namespace Hearth.Images.Layers;

/// <summary>What a flattened image turned out to be.</summary>
internal sealed record FlattenedImage(int Inodes, byte[] Passwd, byte[] Group);

/// <summary>
/// Makes one file system image of an image's layers: their trees are read and merged in memory, then each layer's archive
/// is read again and the visible files' bytes go straight to their places. No path of an image ever meets the host's
/// file system. docs/decisions/0014.
/// </summary>
internal static class Flattening
{
    /// <summary>Changes whenever the same layers give other bytes than before.</summary>
    public const int FormatVersion = 1;

    private const int MaxUserFileBytes = 4 << 20;

    /// <summary>Writes the image.</summary>
    /// <param name="layers">The archives and the trees read from them, the lowest first. The trees are used up.</param>
    /// <param name="identity">The manifest's digest.</param>
    /// <param name="file">Empty, and open for reading and writing.</param>
    /// <param name="onShare">Told how much of the work is done, from 0 to 1.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="ImageException">The layers do not fit together.</exception>
    public static async Task<FlattenedImage> WriteAsync(
        IReadOnlyList<(LayerArchive Archive, LayerTree Tree)> layers, Digest identity, SafeFileHandle file, Action<double> onShare, CancellationToken cancellation)
    {
        Inode root = ImageTree.Merge(layers.Select(layer => layer.Tree));
        var image = new ErofsImage(root, file);
        image.WriteMetadata(cancellation);

        Dictionary<int, Inode>[] wanted = WantedFiles(root, layers.Count);
        long total = wanted.Sum(files => files.Values.Sum(inode => inode.Size));
        long done = 0;
        var work = new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount, CancellationToken = cancellation };
        await Parallel.ForAsync(0, layers.Count, work, (layer, end) =>
        {
            if (wanted[layer].Count > 0)
            {
                layers[layer].Archive.CopyFiles(wanted[layer], image, bytes => onShare((double)Interlocked.Add(ref done, bytes) / total), end);
            }

            return ValueTask.CompletedTask;
        }).ConfigureAwait(false);

        image.Finish(identity);
        RandomAccess.FlushToDisk(file);
        return new FlattenedImage(image.Inodes, ReadUserFile(root, image, "/etc/passwd"), ReadUserFile(root, image, "/etc/group"));
    }

    private static Dictionary<int, Inode>[] WantedFiles(Inode root, int layers)
    {
        Dictionary<int, Inode>[] wanted = [.. Enumerable.Range(0, layers).Select(_ => new Dictionary<int, Inode>())];
        var todo = new Stack<Inode>([root]);
        while (todo.TryPop(out Inode? folder))
        {
            foreach (Inode child in folder.Children!.Values)
            {
                if (child.Kind == InodeKind.Folder)
                {
                    todo.Push(child);
                }
                else if (child is { Kind: InodeKind.File, Size: > 0 })
                {
                    wanted[child.Layer][child.Ordinal] = child;
                }
            }
        }

        return wanted;
    }

    private static byte[] ReadUserFile(Inode root, ErofsImage image, string path) =>
        new PathWalk(root).Find(path) is { Kind: InodeKind.File } file ? image.ReadFile(file, MaxUserFileBytes) : [];
}
