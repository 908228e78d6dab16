namespace Hearth.Virtio.Tests.Block;

/// <summary>A file that is gone after the test.</summary>
internal sealed class TemporaryFile : IDisposable
{
    public TemporaryFile(byte[] content)
    {
        Path = System.IO.Path.GetTempFileName();
        Content = content;
    }

    public string Path { get; }

    public byte[] Content
    {
        get => File.ReadAllBytes(Path);
        set => File.WriteAllBytes(Path, value);
    }

    /// <summary>Bytes that differ from sector to sector and within one.</summary>
    public static byte[] Pattern(int bytes, int seed = 1)
    {
        var content = new byte[bytes];
        new Random(seed).NextBytes(content);
        return content;
    }

    public void Dispose() => File.Delete(Path);
}
