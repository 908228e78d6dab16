namespace Hearth.Programs.Oci;

/// <summary>
/// A command line as runc's: global options, a command, its options, operands. Options have one dash or two, values behind
/// <c>=</c> or as the next word; after the first operand of a command that runs something, nothing is an option.
/// </summary>
internal sealed class Arguments
{
    private static readonly HashSet<string> s_globalValues = ["root", "log", "log-format", "criu", "rootless", "cgroup-manager"];
    private static readonly HashSet<string> s_values =
    [
        "bundle", "b", "console-socket", "pid-file", "preserve-fds", "process", "p", "format", "f", "interval", "resources", "r", "user", "u", "cwd", "env", "e",
        "cap", "c", "apparmor", "additional-gids", "g", "process-label", "cgroup", "signal", "memory", "memory-reservation", "memory-swap", "cpu-period", "cpu-quota",
        "cpu-share", "pids-limit", "blkio-weight",
    ];

    // Flags that end in a value elsewhere: ps -f is a format, delete -f is force.
    private static readonly Dictionary<string, HashSet<string>> s_flags = new() { ["delete"] = ["f"], ["list"] = ["q"], ["run"] = ["d"], ["exec"] = ["d", "t"] };

    private readonly Dictionary<string, List<string>> _options = [];

    public string Command { get; private set; } = "";

    public List<string> Operands { get; } = [];

    /// <exception cref="OciException">An option lacks its value.</exception>
    public static Arguments Parse(IReadOnlyList<string> words)
    {
        var parsed = new Arguments();
        for (int i = 0; i < words.Count; i++)
        {
            string word = words[i];
            bool raw = parsed.Operands.Count > 0 && parsed.Command is "exec" or "ps";
            if (word == "--")
            {
                parsed.Operands.AddRange(words.Skip(i + 1));
                break;
            }

            if (word.Length < 2 || word[0] != '-' || (raw && parsed.Operands.Count > 0) || IsNumber(word))
            {
                if (parsed.Command.Length == 0)
                {
                    parsed.Command = word;
                }
                else
                {
                    parsed.Operands.Add(word);
                }

                continue;
            }

            string name = word.TrimStart('-');
            string? value = null;
            if (name.IndexOf('=') is > 0 and int equals)
            {
                (name, value) = (name[..equals], name[(equals + 1)..]);
            }
            else if (TakesValue(parsed.Command, name))
            {
                value = ++i < words.Count ? words[i] : throw new OciException($"The option {word} lacks its value.");
            }

            if (!parsed._options.TryGetValue(name, out List<string>? values))
            {
                parsed._options[name] = values = [];
            }

            values.Add(value ?? "true");
        }

        return parsed;
    }

    public bool Flag(params string[] names) => names.Any(name => _options.TryGetValue(name, out List<string>? values) && values[^1] != "false");

    public string? Value(params string[] names) => names.Select(name => _options.GetValueOrDefault(name)?[^1]).FirstOrDefault(value => value is not null);

    public IReadOnlyList<string> Values(params string[] names) => [.. names.SelectMany(name => _options.GetValueOrDefault(name) ?? [])];

    /// <summary>The container's id, which becomes part of paths.</summary>
    /// <exception cref="OciException">There is none, or it is none.</exception>
    public string Id()
    {
        string id = Operands.FirstOrDefault() ?? throw new OciException($"{Command} needs a container's id.");
        return id.Length <= 1024 && id is not ("." or "..") && id.All(static c => char.IsAsciiLetterOrDigit(c) || c is '_' or '+' or '-' or '.')
            ? id
            : throw new OciException($"\"{id}\" is no container id: letters, digits and _ + - . make one.");
    }

    private static bool TakesValue(string command, string name) => command.Length == 0
        ? s_globalValues.Contains(name)
        : s_values.Contains(name) && !(s_flags.TryGetValue(command, out HashSet<string>? flags) && flags.Contains(name));

    // kill ID -9 is no option.
    private static bool IsNumber(string word) => word.AsSpan(1).IndexOfAnyExceptInRange('0', '9') < 0;
}
