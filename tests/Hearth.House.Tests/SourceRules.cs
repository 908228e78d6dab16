using System.Text.RegularExpressions;

namespace Hearth.House.Tests;

/// <summary>What C# files may say. Each rule returns a sentence for each violation.</summary>
internal static partial class SourceRules
{
    public const int WarnLines = 400;
    public const int MaxLines = 600;
    private const int FilesThatMayNameADevice = 2;

    private static readonly string[] s_monitor =
        ["src/Hearth.Linux/", "src/Hearth.Platform/", "src/Hearth.Kvm/", "src/Hearth.Legacy/", "src/Hearth.Virtio/", "src/Hearth.Vmm/"];

    // Path -> why it may be longer than MaxLines.
    private static readonly Dictionary<string, string> s_long = [];

    public static IEnumerable<string> TooLong(IEnumerable<SourceFile> files) =>
        from file in files
        where file.IsCSharp && file.LineCount > MaxLines && !s_long.ContainsKey(file.Path)
        select $"{file.Path}: {file.LineCount} lines; {MaxLines} is the most, and 50 to {WarnLines} the aim.";

    public static IEnumerable<string> Lengthy(IEnumerable<SourceFile> files) =>
        from file in files
        where file.IsCSharp && file.LineCount is > WarnLines and <= MaxLines
        select $"{file.Path}: {file.LineCount} lines; {WarnLines} is the aim.";

    /// <summary>A file in unsafe code explains itself, and each piece that is plainly unsafe has its reason near by.</summary>
    public static IEnumerable<string> SafetyComments(IEnumerable<SourceFile> files)
    {
        foreach (SourceFile file in files.Where(static file => file.IsCSharp && file.IsUnder("src/") && !file.Path.Contains("/Native/")))
        {
            if (!Unsafe().IsMatch(file.Code))
            {
                continue;
            }

            if (!file.Text.Contains("// SAFETY"))
            {
                yield return $"{file.Path}: unsafe, and no // SAFETY: comment.";
            }

            string[] lines = file.Lines;
            foreach (Match match in UnsafeSpot().Matches(file.Code))
            {
                int line = file.LineAt(match.Index);
                ArraySegment<string> near = new(lines, Math.Max(0, line - 9), Math.Min(lines.Length, line + 6) - Math.Max(0, line - 9));
                if (!near.Any(static text => text.Contains("// SAFETY")))
                {
                    yield return $"{file.Path}:{line}: no // SAFETY: above `{lines[line - 1].Trim()}`.";
                }
            }
        }
    }

    public static IEnumerable<string> BannedCalls(IEnumerable<SourceFile> files)
    {
        foreach (SourceFile file in files.Where(static file => file.IsCSharp && file.IsUnder("src/")))
        {
            IEnumerable<Match> banned = BannedAnywhere().Matches(file.Code);
            if (!file.IsUnder("src/programs/"))
            {
                banned = banned.Concat(BannedInLibraries().Matches(file.Code));
            }

            if (s_monitor.Any(file.IsUnder))
            {
                banned = banned.Concat(BannedInMonitor().Matches(file.Code));
            }

            foreach (Match match in banned)
            {
                yield return $"{file.Path}:{file.LineAt(match.Index)}: {match.Value} is not used here (CONTRIBUTING.md).";
            }
        }
    }

    public static IEnumerable<string> EmptyNames(IEnumerable<SourceFile> files) =>
        from file in files
        where file.IsCSharp
        from match in EmptyName().Matches(file.Code)
        select $"{file.Path}:{file.LineAt(match.Index)}: `{match.Value}`: a name that says what the thing is, please.";

    /// <summary>A device is its room: at most two files outside name it, and no other room does.</summary>
    public static IEnumerable<string> OneRoom(IReadOnlyCollection<SourceFile> files)
    {
        foreach (SourceFile device in files.Where(static file => DeviceFile().IsMatch(file.Path)))
        {
            string room = device.Path[..^device.Name.Length];
            string name = device.Name[..^".cs".Length];
            var mention = new Regex($@"\b{name}\b");
            string[] outside =
            [
                .. from file in files
                   where file.IsCSharp && file.IsUnder("src/") && !file.IsUnder(room) && mention.IsMatch(file.Code)
                   select file.Path,
            ];
            if (outside.Length > FilesThatMayNameADevice)
            {
                yield return $"{name} is named in {outside.Length} files outside its room, {FilesThatMayNameADevice} at most: {string.Join(", ", outside)}.";
            }

            foreach (string other in outside.Where(static path => path.StartsWith("src/Hearth.Virtio/", StringComparison.Ordinal)))
            {
                yield return $"{other}: names {name}, which is another room's.";
            }
        }
    }

    [GeneratedRegex(@"\bunsafe\b")]
    private static partial Regex Unsafe();

    [GeneratedRegex(@"\bunsafe\s*\{|\bfixed\s*\((?!\))|new (ReadOnly)?Span<\w+>\(\(?\w+\*|(?<![\w\]])\*\(\w+\*\)")]
    private static partial Regex UnsafeSpot();

    [GeneratedRegex(@"\bDllImport\b|\bMarshal\.PtrToStructure\b")]
    private static partial Regex BannedAnywhere();

    [GeneratedRegex(@"\bConsole\s*\.")]
    private static partial Regex BannedInLibraries();

    [GeneratedRegex(@"\bThread\s*\.\s*Sleep\b|\bDateTime\s*\.\s*Now\b|\bTask\s*\.\s*Run\b|\basync\b")]
    private static partial Regex BannedInMonitor();

    [GeneratedRegex(@"\b(class|struct|record|interface|enum)\s+\w*(Manager|Helpers?|Utils?|Utilities)\b")]
    private static partial Regex EmptyName();

    [GeneratedRegex(@"^src/Hearth\.Virtio/\w+/\w+Device\.cs$")]
    private static partial Regex DeviceFile();
}
