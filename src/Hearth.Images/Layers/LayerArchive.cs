using System.IO.Compression;
using System.Security.Cryptography;
using Hearth.Images.Building;
using Hearth.Images.Oci;
using Hearth.Images.Tar;
using Microsoft.Win32.SafeHandles;
using ZstdSharp;

namespace Hearth.Images.Layers;

/// <summary>
/// A layer's archive on disk, read twice: once to know what is in it, and once more to copy the files that are still
/// visible under the layers above. Reading again costs less than keeping everything uncompressed on disk in between.
/// </summary>
internal sealed class LayerArchive
{
    private const int FileBuffer = 128 << 10;

    // Beyond what zstd makes at any level below --ultra; what a stream asks for is allocated.
    private const int MaxZstdWindowLog = 27;

    private readonly Func<Stream> _open;
    private readonly Digest _diffId;
    private readonly int _layer;

    /// <param name="path">The blob: a tar archive, alone or in gzip or zstd.</param>
    /// <param name="diffId">The digest of the archive uncompressed, as the image's configuration has it.</param>
    /// <param name="layer">0 for the lowest.</param>
    public LayerArchive(string path, Digest diffId, int layer)
        : this(() => Open(path), diffId, layer)
    {
    }

    /// <summary>As the other, of a blob that is open; it stays so.</summary>
    public LayerArchive(SafeFileHandle blob, Digest diffId, int layer)
        : this(() => Uncompress(() => new BufferedStream(new HandleStream(blob), FileBuffer)), diffId, layer)
    {
    }

    private LayerArchive(Func<Stream> open, Digest diffId, int layer)
    {
        _open = open;
        _diffId = diffId;
        _layer = layer;
    }

    /// <summary>Reads the whole archive, and checks that it is the one the image's configuration names.</summary>
    /// <exception cref="ImageException">It is not, or is malformed, or too large.</exception>
    public LayerTree ReadTree(ImageBudget budget, CancellationToken cancellation)
    {
        using IncrementalHash hash = _diffId.CreateHash();
        var tree = new LayerTree(_layer, budget);
        using (Stream uncompressed = _open())
        using (var counted = new WatchedStream(uncompressed, hash, budget, cancellation))
        {
            Guard(() =>
            {
                var reader = new TarReader(counted);
                while (reader.Next() is { } entry)
                {
                    tree.Add(entry);
                }

                reader.Drain();
            });
        }

        Digest found = Digest.Finish(hash, _diffId);
        return found == _diffId
            ? tree
            : throw new ImageException(ImageFault.BadContent, $"A layer's content is {found}, and the image's configuration says {_diffId}. Have the image pushed again.");
    }

    /// <summary>Reads the files of the archive that are wanted.</summary>
    /// <param name="wanted">By the ordinals of their entries.</param>
    /// <param name="image">Where their bytes go.</param>
    /// <param name="onBytes">Told of each piece that was written.</param>
    /// <param name="cancellation">Ends it.</param>
    public void CopyFiles(Dictionary<int, Inode> wanted, Erofs.ErofsImage image, Action<int> onBytes, CancellationToken cancellation) => Guard(() =>
    {
        using Stream uncompressed = _open();
        var reader = new TarReader(uncompressed);
        int left = wanted.Count;
        for (int ordinal = 0; left > 0; ordinal++)
        {
            cancellation.ThrowIfCancellationRequested();
            if (reader.Next() is not { } entry)
            {
                throw new ImageException(ImageFault.BadContent, "It changed while it was read.");
            }

            if (!wanted.TryGetValue(ordinal, out Inode? inode))
            {
                continue;
            }

            left--;
            if (entry.Size != inode.Size)
            {
                throw new ImageException(ImageFault.BadContent, "It changed while it was read.");
            }

            CopyFile(reader, inode, image, onBytes, cancellation);
        }
    });

    /// <summary>Opens the archive, whatever it is compressed with. The bytes say so; media types are often wrong.</summary>
    public static Stream Open(string path) => Uncompress(() => new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, FileBuffer, FileOptions.SequentialScan));

    private static Stream Uncompress(Func<Stream> open)
    {
        Span<byte> magic = stackalloc byte[4];
        using (Stream head = open())
        {
            magic = magic[..head.ReadAtLeast(magic, magic.Length, throwOnEndOfStream: false)];
        }

        Stream file = open();
        if (magic.StartsWith((ReadOnlySpan<byte>)[0x1f, 0x8b]))
        {
            return new GZipStream(file, CompressionMode.Decompress);
        }

        if (magic.SequenceEqual((ReadOnlySpan<byte>)[0x28, 0xb5, 0x2f, 0xfd]))
        {
            var zstd = new DecompressionStream(file, FileBuffer, leaveOpen: false);
            zstd.SetParameter(ZstdSharp.Unsafe.ZSTD_dParameter.ZSTD_d_windowLogMax, MaxZstdWindowLog);
            return zstd;
        }

        if (magic.StartsWith("BZh"u8) || magic.SequenceEqual((ReadOnlySpan<byte>)[0xfd, 0x37, 0x7a, 0x58]))
        {
            file.Dispose();
            throw new ImageException(ImageFault.BadContent, "A layer is compressed with bzip2 or xz, which are not read. Have the image pushed with gzip or zstd.");
        }

        return file;
    }

    private static void CopyFile(TarReader reader, Inode inode, Erofs.ErofsImage image, Action<int> onBytes, CancellationToken cancellation)
    {
        while (true)
        {
            reader.ReadChunk(out long offset, out ReadOnlySpan<byte> bytes);
            if (bytes.IsEmpty)
            {
                return;
            }

            cancellation.ThrowIfCancellationRequested();
            image.WriteFile(inode, offset, bytes);
            onBytes(bytes.Length);
        }
    }

    private void Guard(Action read)
    {
        try
        {
            read();
        }
        catch (Exception e) when (e is InvalidDataException or ZstdException or EndOfStreamException)
        {
            throw new ImageException(ImageFault.BadContent, $"The layer {_diffId} cannot be uncompressed: {e.Message} Have the image pushed again.", e);
        }
        catch (ImageException e) when (e.Fault == ImageFault.BadContent)
        {
            throw new ImageException(ImageFault.BadContent, $"Layer {_diffId}: {e.Message}", e);
        }
    }
}
