namespace Hearth.Vmm.Tests.Boot;

/// <summary>A directory for one test's kernels and initrds.</summary>
internal sealed class BootDirectory : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("hearth-boot-");

    public string Path => _directory.FullName;

    /// <summary>Writes a file, over the one of the same name, and returns its path.</summary>
    public string File(ReadOnlySpan<byte> content, string name = "kernel")
    {
        string path = System.IO.Path.Combine(Path, name);
        System.IO.File.WriteAllBytes(path, content);
        return path;
    }

    public void Dispose() => _directory.Delete(recursive: true);
}
