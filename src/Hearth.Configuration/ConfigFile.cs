using Tomlyn;
using Tomlyn.Parsing;
using Tomlyn.Syntax;

namespace Hearth.Configuration;

/// <summary>A mistake in a configuration, and where it is.</summary>
/// <param name="File">The file, as it was named.</param>
/// <param name="Line">From 1; 0 for what is not in the file: a default, or the file itself.</param>
/// <param name="Column">From 1.</param>
/// <param name="Message">What is wrong, and what would be right.</param>
public sealed record ConfigProblem(string File, int Line, int Column, string Message)
{
    public override string ToString() => Line == 0 ? $"{File}: {Message}" : $"{File}:{Line}:{Column}: {Message}";
}

/// <summary>A configuration with mistakes; the message has a line for each.</summary>
public sealed class ConfigException(IReadOnlyList<ConfigProblem> problems, Exception? cause = null)
    : Exception(string.Join('\n', problems), cause)
{
    public IReadOnlyList<ConfigProblem> Problems { get; } = problems;
}

/// <summary>A <c>hearth.toml</c> that was read: what it says, and every mistake in it with its place. Never changes.</summary>
public sealed class ConfigFile
{
    // Where keys stand, by "section.key", for problems that only the host shows.
    private readonly Dictionary<string, SourceSpan> _places = [];
    private readonly List<ConfigProblem> _problems = [];
    private readonly List<RegistryConfig> _registries = [];

    private ConfigFile(string path) => Path = path;

    /// <summary>As it was named.</summary>
    public string Path { get; }

    /// <summary>What it says; where it is mistaken, the defaults.</summary>
    public HearthConfig Config { get; private set; } = new();

    /// <summary>Mistakes that show without looking at the host: syntax, unknown keys, wrong types and values.</summary>
    public IReadOnlyList<ConfigProblem> Problems => _problems;

    /// <exception cref="ConfigException">The file cannot be read.</exception>
    public static ConfigFile Read(string path)
    {
        try
        {
            return Parse(File.ReadAllText(path), path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ConfigException([new ConfigProblem(path, 0, 0, $"cannot be read: {e.Message}")], e);
        }
    }

    /// <param name="toml">The text.</param>
    /// <param name="path">What problems call it.</param>
    public static ConfigFile Parse(string toml, string path)
    {
        var file = new ConfigFile(path);
        DocumentSyntax document;
        try
        {
            document = SyntaxParser.Parse(toml, path, validate: true);
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException or IndexOutOfRangeException or TomlException)
        {
            // The parser fails over an escape that the file's end cuts off, among others.
            file._problems.Add(new ConfigProblem(path, toml.Count(static c => c == '\n') + 1, 1, $"this is no TOML: {e.Message}"));
            return file;
        }

        foreach (DiagnosticMessage message in document.Diagnostics)
        {
            file.Report(message.Span, message.Message.TrimEnd('.'));
        }

        // A tree with holes is not read: what followed would be told of as mistakes too.
        if (!document.HasErrors)
        {
            file.Read(document);
        }

        return file;
    }

    /// <summary>Mistakes that only this host shows: files, programs that are not there.</summary>
    public IReadOnlyList<ConfigProblem> CheckHost()
    {
        var found = new List<ConfigProblem>();
        CheckHost(found, "daemon", Config.Daemon, ConfigSchema.Daemon);
        CheckHost(found, "microvm", Config.Microvm, ConfigSchema.Microvm);
        CheckHost(found, "oci", Config.Oci, ConfigSchema.Oci);
        for (int i = 0; i < _registries.Count; i++)
        {
            CheckHost(found, $"registries.{i}", _registries[i], ConfigSchema.Registry);
        }

        return found;
    }

    private void CheckHost<T>(List<ConfigProblem> found, string section, T record, ConfigKey<T>[] keys)
    {
        foreach (ConfigKey<T> key in keys)
        {
            string? wrong = (key.Kind, key.Get(record)) switch
            {
                (ValueKind.File, string { Length: > 0 } path) when !File.Exists(path) => $"there is no file \"{path}\"",
                (ValueKind.Program, string name) when ProgramPath.Find(name) is null => name.StartsWith('/')
                    ? $"there is no program \"{name}\""
                    : $"there is no program \"{name}\" in {AppContext.BaseDirectory} or on PATH",
                _ => null,
            };
            if (wrong is not null)
            {
                string dotted = $"{section}.{key.Name}";
                found.Add(_places.TryGetValue(dotted, out SourceSpan place)
                    ? At(place, $"{key.Name}: {wrong}")
                    : new ConfigProblem(Path, 0, 0, $"{dotted} (the default): {wrong}"));
            }
        }
    }

    private void Read(DocumentSyntax document)
    {
        foreach (KeyValueSyntax pair in document.KeyValues)
        {
            Report(pair.Key!.Span, $"unknown key \"{Name(pair.Key)}\": keys are in a section ([daemon], [microvm], [oci], [images], [network], [[registries]])");
        }

        foreach (TableSyntaxBase table in document.Tables)
        {
            string name = Name(table.Name!);
            HearthConfig config = Config;
            switch (name, table is TableArraySyntax)
            {
                case ("daemon", false):
                    Config = config with { Daemon = Read(table, name, config.Daemon, ConfigSchema.Daemon) };
                    break;
                case ("microvm", false):
                    Config = config with { Microvm = Read(table, name, config.Microvm, ConfigSchema.Microvm) };
                    break;
                case ("oci", false):
                    Config = config with { Oci = Read(table, name, config.Oci, ConfigSchema.Oci) };
                    break;
                case ("images", false):
                    Config = config with { Images = Read(table, name, config.Images, ConfigSchema.Images) };
                    break;
                case ("network", false):
                    Config = config with { Network = Read(table, name, config.Network, ConfigSchema.Network) };
                    break;
                case ("registries", true):
                    ReadRegistry(table);
                    break;
                case ("registries", false):
                    Report(table.Name!.Span, "each registry is a section [[registries]], with two brackets");
                    break;
                case ("daemon" or "microvm" or "oci" or "images" or "network", true):
                    Report(table.Name!.Span, $"there is one section [{name}], with one bracket");
                    break;
                default:
                    Report(table.Name!.Span, $"unknown section \"{name}\": they are [daemon], [microvm], [oci], [images], [network] and [[registries]]");
                    break;
            }
        }

        Config = Config with { Registries = _registries };
        if (Config.Daemon.StreamCertificate.Length == 0 != (Config.Daemon.StreamKey.Length == 0))
        {
            string given = Config.Daemon.StreamKey.Length == 0 ? "stream_certificate" : "stream_key";
            Report(_places[$"daemon.{given}"], "stream_certificate and stream_key go together: give both, or none");
        }
    }

    private void ReadRegistry(TableSyntaxBase table)
    {
        string section = $"registries.{_registries.Count}";
        RegistryConfig registry = Read(table, section, new RegistryConfig { Host = "" }, ConfigSchema.Registry);
        if (registry.Host.Length == 0)
        {
            Report(table.Name!.Span, "a registry needs a host");
        }
        else if (_registries.Any(other => other.Host == registry.Host))
        {
            Report(_places[$"{section}.host"], $"\"{registry.Host}\" has a section already");
        }

        _registries.Add(registry);
    }

    private T Read<T>(TableSyntaxBase table, string section, T record, ConfigKey<T>[] keys)
    {
        foreach (KeyValueSyntax pair in table.Items)
        {
            string name = Name(pair.Key!);
            if (keys.FirstOrDefault(key => key.Name == name) is not { } key)
            {
                Report(pair.Key!.Span, $"unknown key \"{name}\"{Likely(name, keys.Select(static key => key.Name))}");
                continue;
            }

            _places[$"{section}.{name}"] = pair.Value!.Span;
            if (ValueOf(pair.Value, key.Kind) is not { } value)
            {
                Report(pair.Value.Span, $"{name}: {Wanted(key.Kind)}");
            }
            else if (key.Refuse(value) is { } wrong)
            {
                Report(pair.Value.Span, $"{name}: {wrong}");
            }
            else
            {
                record = key.Set(record, value);
            }
        }

        return record;
    }

    private static object? ValueOf(ValueSyntax syntax, ValueKind kind) => (kind, syntax) switch
    {
        (ValueKind.Flag, BooleanValueSyntax flag) => flag.Value,
        (ValueKind.Number, IntegerValueSyntax number) => number.Value,
        (ValueKind.TextList or ValueKind.FolderList, ArraySyntax array) =>
            array.Items.Select(static item => (item.Value as StringValueSyntax)?.Value).ToArray() is var texts && texts.All(static text => text is not null) ? texts! : null,
        (ValueKind.Flag or ValueKind.Number or ValueKind.TextList or ValueKind.FolderList, _) => null,
        (_, StringValueSyntax text) => text.Value,
        _ => null,
    };

    private static string Wanted(ValueKind kind) => kind switch
    {
        ValueKind.Flag => "true or false is wanted",
        ValueKind.Number => "a whole number is wanted, without quotes",
        ValueKind.TextList or ValueKind.FolderList => "a list of strings is wanted: [\"…\", \"…\"]",
        _ => "a string is wanted: \"…\"",
    };

    /// <summary>The key that was probably meant.</summary>
    private static string Likely(string name, IEnumerable<string> keys)
    {
        string bare = Bare(name);
        return keys.FirstOrDefault(key => Bare(key) == bare || (bare.Length > 3 && (Bare(key).Contains(bare) || bare.Contains(Bare(key))))) is { } likely
            ? $"; is \"{likely}\" meant?"
            : "";

        static string Bare(string text) => text.Replace("_", "").Replace("-", "").ToLowerInvariant();
    }

    private static string Name(KeySyntax key) =>
        string.Join('.', key.DotKeys.Select(static item => item.Key).Prepend(key.Key).Select(static part => part switch
        {
            StringValueSyntax quoted => quoted.Value,
            BareKeySyntax bare => bare.Key?.Text,
            _ => part?.ToString(),
        }));

    private void Report(SourceSpan place, string message) => _problems.Add(At(place, message));

    private ConfigProblem At(SourceSpan place, string message) => new(Path, place.Start.Line + 1, place.Start.Column + 1, message);
}
