using Hearth.Images.Erofs;
using Hearth.Images.Layers;
using Hearth.Images.Oci;

namespace Hearth.Images.Tests.Erofs;

/// <summary>An image written for a test, without files' bytes, and a reader for it.</summary>
internal sealed class ErofsFile : IDisposable
{
    private ErofsFile(string path)
    {
        Path = path;
        Reader = new ErofsReader(File.ReadAllBytes(path));
    }

    public string Path { get; }

    public ErofsReader Reader { get; }

    public static ErofsFile Write(Inode root, Digest identity)
    {
        string path = System.IO.Path.GetTempFileName();
        using (var file = File.OpenHandle(path, FileMode.Create, FileAccess.ReadWrite))
        {
            var image = new ErofsImage(root, file);
            image.WriteMetadata(CancellationToken.None);
            image.Finish(identity);
        }

        return new ErofsFile(path);
    }

    public void Dispose() => File.Delete(Path);
}
