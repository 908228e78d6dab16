namespace Hearth.House.Tests;

/// <summary>A file of the repository, as a rule sees it.</summary>
/// <param name="Path">From the repository's root, with slashes.</param>
/// <param name="Text">Its text.</param>
/// <param name="IsExecutable">Whether its owner may run it.</param>
internal sealed record SourceFile(string Path, string Text, bool IsExecutable = false)
{
    private string? _code;

    public string Name => System.IO.Path.GetFileName(Path);

    /// <summary>C# with comments and the insides of strings blanked out, line by line the same.</summary>
    public string Code => _code ??= CSharpText.Blank(Text);

    public string[] Lines => Text.Split('\n');

    /// <summary>The number of lines as <c>wc -l</c> counts them.</summary>
    public int LineCount => Text.AsSpan().Count('\n');

    public bool IsCSharp => Path.EndsWith(".cs", StringComparison.Ordinal);

    public bool IsProject => Path.EndsWith(".csproj", StringComparison.Ordinal);

    public bool IsUnder(string folder) => Path.StartsWith(folder, StringComparison.Ordinal);

    /// <summary>The line number, from 1, of a position in the text.</summary>
    public int LineAt(int position) => Text.AsSpan(0, position).Count('\n') + 1;
}
