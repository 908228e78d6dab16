using Hearth.Images.Layers;
using Hearth.Images.Oci;
using Hearth.Images.Tar;
using Hearth.Images.Tests.Erofs;

namespace Hearth.Images.Tests.Tar;

/// <summary>
/// Takes bytes of anybody's choice for a layer: they are refused with an <see cref="ImageException"/>, or become an image
/// in which everything can be read again.
/// </summary>
public static class TarFuzzTarget
{
    public static void Run(ReadOnlySpan<byte> input)
    {
        byte[] archive = input.ToArray();
        Inode root;
        try
        {
            var tree = new LayerTree(0, new ImageBudget(new ImageLimits { MaxBytes = 1 << 20, MaxEntries = 1000, MaxXattrBytes = 1 << 16 }));
            var reader = new TarReader(new MemoryStream(archive));
            while (reader.Next() is { } entry)
            {
                tree.Add(entry);
            }

            root = ImageTree.Merge([tree]);
        }
        catch (ImageException)
        {
            return;
        }

        using ErofsFile image = ErofsFile.Write(root, Digest.Of(archive));
        Assert.NotEmpty(image.Reader.List());
    }

    /// <summary>Corrects each header's checksum in place, so that changes come past the first check.</summary>
    public static byte[] WithGoodChecksums(byte[] archive)
    {
        for (int at = 0; at + 512 <= archive.Length; at += 512)
        {
            if (archive.AsSpan(at + 257, 5).SequenceEqual("ustar"u8))
            {
                archive.AsSpan(at + 148, 8).Fill((byte)' ');
                TarBuilder.Octal(archive, at + 148, 7, archive.Skip(at).Take(512).Sum(value => value));
            }
        }

        return archive;
    }
}
