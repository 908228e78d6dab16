using Hearth.Linux;

namespace Hearth.Vmm.Boot;

/// <summary>A kernel or initrd that cannot be booted: names the file, what is wrong with it, and what to do.</summary>
public sealed class KernelLoadException : HearthException
{
    public KernelLoadException(string path, string problem, string remedy)
        : base($"Cannot boot {path}: {problem}. {remedy}")
    {
        Path = path;
    }

    /// <summary>The file in question.</summary>
    public string Path { get; }
}
