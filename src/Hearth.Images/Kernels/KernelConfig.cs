namespace Hearth.Images.Kernels;

/// <summary>
/// Kernel options as a <c>.config</c> has them: <c>CONFIG_X=y</c>, <c>CONFIG_X="text"</c>, <c># CONFIG_X is not set</c>.
/// </summary>
public sealed class KernelConfig
{
    private const string Off = " is not set";

    private readonly Dictionary<string, string> _options = new(StringComparer.Ordinal);

    /// <summary>Every option that is mentioned, with its value; <c>n</c> for one that is said to be off.</summary>
    public IReadOnlyDictionary<string, string> Options => _options;

    /// <summary>The value, or <c>n</c>.</summary>
    public string this[string option] => _options.GetValueOrDefault(option, "n");

    /// <summary>Reads a file.</summary>
    /// <exception cref="ImageException">It cannot be read, or a line is no option.</exception>
    public static KernelConfig Load(string path)
    {
        try
        {
            return Parse(File.ReadAllText(path), path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ImageException($"Cannot read the kernel configuration {path}: {e.Message}", e);
        }
    }

    /// <param name="text">A .config, or a fragment of one.</param>
    /// <param name="name">What to call it in an error.</param>
    /// <exception cref="ImageException">A line is no option.</exception>
    public static KernelConfig Parse(string text, string name)
    {
        var config = new KernelConfig();
        int number = 0;
        foreach (string raw in text.Split('\n'))
        {
            number++;
            string line = raw.Trim();
            if (line.StartsWith("# ", StringComparison.Ordinal) && line.EndsWith(Off, StringComparison.Ordinal) && IsOption(line.AsSpan(2..^Off.Length)))
            {
                config._options[line[2..^Off.Length]] = "n";
                continue;
            }

            if (line.Length == 0 || line[0] == '#')
            {
                continue;
            }

            int equals = line.IndexOf('=');
            if (equals <= 0 || equals == line.Length - 1 || !IsOption(line.AsSpan(0, equals)))
            {
                throw new ImageException($"{name}, line {number}: \"{line}\" is no kernel option. Write CONFIG_NAME=value.");
            }

            config._options[line[..equals]] = line[(equals + 1)..];
        }

        return config;
    }

    /// <summary>Adds another's options; where both have one, the other's wins.</summary>
    public void Merge(KernelConfig other)
    {
        foreach ((string option, string value) in other._options)
        {
            _options[option] = value;
        }
    }

    /// <summary>As a fragment, sorted, so that equal configurations are equal texts. An option that is off is said so.</summary>
    public override string ToString()
    {
        IEnumerable<string> lines = _options
            .OrderBy(o => o.Key, StringComparer.Ordinal)
            .Select(o => o.Value == "n" ? $"# {o.Key}{Off}" : $"{o.Key}={o.Value}");
        return string.Join('\n', lines) + "\n";
    }

    /// <summary>The options of <paramref name="wanted"/> that this configuration does not have as they were asked for.</summary>
    public IEnumerable<(string Option, string Wanted, string Got)> Missing(KernelConfig wanted)
    {
        foreach ((string option, string value) in wanted._options)
        {
            if (this[option] != value)
            {
                yield return (option, value, this[option]);
            }
        }
    }

    private static bool IsOption(ReadOnlySpan<char> name)
    {
        if (!name.StartsWith("CONFIG_") || name.Length == "CONFIG_".Length)
        {
            return false;
        }

        foreach (char c in name)
        {
            if (!char.IsAsciiLetterOrDigit(c) && c != '_')
            {
                return false;
            }
        }

        return true;
    }
}
