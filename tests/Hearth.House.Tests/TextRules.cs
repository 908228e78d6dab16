using System.Text.RegularExpressions;

namespace Hearth.House.Tests;

/// <summary>What any file, scripts and documents may say. Each rule returns a sentence for each violation.</summary>
internal static partial class TextRules
{
    private const int MaxBytes = 512 * 1024;
    private const int MaxDecisionLines = 40;
    private const int MaxReadmeLines = 120;

    // Path -> why it goes on after an error.
    private static readonly Dictionary<string, string> s_goesOn = new()
    {
        ["lab/guest/lab-init"] = "PID 1: a kernel whose init ends panics, so it reports and powers off instead.",
    };

    public static IEnumerable<string> LeftForLater(IEnumerable<SourceFile> files) =>
        from file in files
        from match in Later().Matches(file.Text)
        select $"{file.Path}:{file.LineAt(match.Index)}: {match.Value}: do it, or write an issue.";

    public static IEnumerable<string> MachinePaths(IEnumerable<SourceFile> files) =>
        from file in files
        from match in MachinePath().Matches(file.Text)
        select $"{file.Path}:{file.LineAt(match.Index)}: {match.Value.Trim()} is a path of one machine.";

    public static IEnumerable<string> BigFiles(IEnumerable<SourceFile> files) =>
        from file in files
        where file.Text.Length > MaxBytes
        select $"{file.Path}: {file.Text.Length} bytes; what is larger than {MaxBytes} is built or fetched, not tracked.";

    public static IEnumerable<string> Scripts(IEnumerable<SourceFile> files)
    {
        foreach (SourceFile file in files)
        {
            bool runs = file.Text.StartsWith("#!", StringComparison.Ordinal) && Shell().IsMatch(file.Lines[0]);
            bool sourced = file.Text.StartsWith("# shellcheck shell", StringComparison.Ordinal);
            if (file.Name.EndsWith(".sh", StringComparison.Ordinal) && !runs && !sourced)
            {
                yield return $"{file.Path}: starts neither with #! nor with # shellcheck shell.";
            }

            if (runs && !file.IsExecutable)
            {
                yield return $"{file.Path}: a script that cannot be run: chmod +x.";
            }

            if (sourced && file.IsExecutable)
            {
                yield return $"{file.Path}: is sourced, not run: chmod -x.";
            }

            string[] commands = [.. file.Lines.Where(static line => line.Trim().Length > 0 && line[0] != '#')];
            bool handsOn = commands.Length == 1 && commands[0].StartsWith("exec ", StringComparison.Ordinal);
            if (runs && file.Lines[0].Contains("bash") && !handsOn && !s_goesOn.ContainsKey(file.Path) && commands.FirstOrDefault() != "set -euo pipefail")
            {
                yield return $"{file.Path}: its first command is not set -euo pipefail.";
            }
        }
    }

    public static IEnumerable<string> Decisions(IEnumerable<SourceFile> files)
    {
        int expected = 1;
        foreach (SourceFile file in files.Where(static file => file.IsUnder("docs/decisions/")).OrderBy(static file => file.Path, StringComparer.Ordinal))
        {
            if (!DecisionName().IsMatch(file.Name) || !file.Name.StartsWith($"{expected:d4}-", StringComparison.Ordinal))
            {
                yield return $"{file.Path}: decisions are named NNNN-title.md, and {expected:d4} is next.";
            }

            if (file.LineCount > MaxDecisionLines)
            {
                yield return $"{file.Path}: {file.LineCount} lines; a decision fits in {MaxDecisionLines}.";
            }

            expected++;
        }
    }

    /// <summary>The commands that documents show exist, and so do the files they link to.</summary>
    public static IEnumerable<string> Documents(IReadOnlyCollection<SourceFile> files)
    {
        var known = files.Select(static file => file.Path).ToHashSet();
        foreach (SourceFile file in files.Where(static file => file.Path.EndsWith(".md", StringComparison.Ordinal)))
        {
            string folder = Path.GetDirectoryName(file.Path)!;
            foreach (Match match in Link().Matches(file.Text))
            {
                string target = Path.GetRelativePath("/", Path.GetFullPath(match.Groups[1].Value, "/" + folder));
                if (!known.Contains(target) && !known.Any(path => path.StartsWith(target + "/", StringComparison.Ordinal)))
                {
                    yield return $"{file.Path}:{file.LineAt(match.Index)}: links to {match.Groups[1].Value}, which is not there.";
                }
            }

            foreach (Match match in Command().Matches(file.Text))
            {
                if (!known.Contains(match.Groups["path"].Value))
                {
                    yield return $"{file.Path}:{file.LineAt(match.Index)}: tells the reader to run {match.Groups["path"].Value}, which is not there.";
                }
            }
        }

        if (files.FirstOrDefault(static file => file.Path == "README.md") is { LineCount: > MaxReadmeLines } readme)
        {
            yield return $"README.md: {readme.LineCount} lines; it is one screen and a table, {MaxReadmeLines} at most.";
        }
    }

    // Written apart, so that this file does not break its own rule.
    [GeneratedRegex(@"\b(TO" + @"DO|FIX" + @"ME|XX" + @"X|HA" + @"CK)\b(?!-)")]
    private static partial Regex Later();

    [GeneratedRegex(@"(?<![\w$}.*~/-])/(ro" + @"ot|ho" + @"me/\w+|wo" + @"rk|tmp/w" + @"t)/[\w.]")]
    private static partial Regex MachinePath();

    [GeneratedRegex(@"\b(ba|da)?sh\b")]
    private static partial Regex Shell();

    [GeneratedRegex(@"^\d{4}-[a-z0-9-]+\.md$")]
    private static partial Regex DecisionName();

    [GeneratedRegex(@"\]\((?!https?:|#|mailto:)([^)#\s]+)(?:#[^)]*)?\)")]
    private static partial Regex Link();

    // At the start of a line in a code block, or between backticks.
    [GeneratedRegex(@"(?:^    |^|`)\./(?<path>[\w./-]*\w)|(?:^    |`)(?<path>(?:lab|eng|bench|fuzz)/[\w./-]*\w)", RegexOptions.Multiline)]
    private static partial Regex Command();
}
