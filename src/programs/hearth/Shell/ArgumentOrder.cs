using System.CommandLine;

namespace Hearth.Programs.Hearth.Shell;

/// <summary>
/// Where a command line's own options end. What follows an image or a container is somebody else's command line, and
/// <c>hearth run IMAGE ls -e</c> must not take its <c>-e</c>: a <c>--</c> before the first word that is no option of ours
/// tells the parser so.
/// </summary>
internal static class ArgumentOrder
{
    /// <param name="root">All commands.</param>
    /// <param name="isRaw">Whether what follows a command's first word is not ours.</param>
    /// <param name="arguments">As typed.</param>
    /// <returns>The same with one <c>--</c> more, or as they were.</returns>
    public static IReadOnlyList<string> Separate(Command root, Func<Command, bool> isRaw, IReadOnlyList<string> arguments)
    {
        Command command = root;
        var options = new List<Option>(root.Options);
        for (int i = 0; i < arguments.Count; i++)
        {
            string word = arguments[i];
            if (word == "--")
            {
                return arguments;
            }

            if (word.Length > 1 && word[0] == '-')
            {
                i += TakesNextWord(options, word) ? 1 : 0;
            }
            else if (command.Subcommands.FirstOrDefault(sub => sub.Name == word || sub.Aliases.Contains(word)) is { } sub)
            {
                command = sub;
                options.RemoveAll(option => !option.Recursive);
                options.AddRange(sub.Options);
            }
            else
            {
                return isRaw(command) ? [.. arguments.Take(i), "--", .. arguments.Skip(i)] : arguments;
            }
        }

        return arguments;
    }

    private static bool TakesNextWord(List<Option> options, string word)
    {
        if (word.Contains('='))
        {
            return false;
        }

        if (options.Find(option => IsCalled(option, word)) is { } whole)
        {
            return HasValue(whole);
        }

        if (word.StartsWith("--", StringComparison.Ordinal))
        {
            return false;
        }

        // -itv VALUE: flags in one word, of which the last may have a value.
        foreach ((int at, char letter) in word.Index().Skip(1))
        {
            if (options.Find(option => IsCalled(option, $"-{letter}")) is not { } option)
            {
                return false;
            }

            if (HasValue(option))
            {
                return at == word.Length - 1;
            }
        }

        return false;
    }

    private static bool IsCalled(Option option, string word) => option.Name == word || option.Aliases.Contains(word);

    private static bool HasValue(Option option) => option.ValueType != typeof(bool) && option.Arity.MaximumNumberOfValues > 0;
}
