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
}
