using System.Globalization;
using Hearth.Linux;

namespace Hearth.Programs.Jailer;

/// <summary>Firecracker's jailer's command line. Source: Firecracker docs/jailer.md.</summary>
internal sealed record JailerArguments
{
    private const string DefaultBase = "/srv/jailer";
    private const ulong DefaultFiles = 2048;
    private const int MaxIdLength = 64;

    // Name, the value's name in --help (null for a flag), what it does.
    private static readonly (string Name, string? Value, string Help)[] s_options =
    [
        ("cgroup", "FILE=VALUE", "A cgroup file and its value, such as cpu.max=\"50000 100000\"; may be repeated"),
        ("cgroup-version", "VERSION", "1 or 2 [default: 1]"),
        ("chroot-base-dir", "PATH", "The folder of all jails [default: /srv/jailer]"),
        ("daemonize", null, "Start the program in a session of its own with /dev/null as its standard streams"),
        ("exec-file", "PATH", "The program to jail: a static one"),
        ("gid", "GID", "The group it runs as"),
        ("help", null, "Shows this help"),
        ("id", "ID", "The jail's identifier: letters, digits and '-'"),
        ("netns", "PATH", "The network namespace it runs in"),
        ("new-pid-ns", null, "Start the program as process 1 of a new PID namespace"),
        ("parent-cgroup", "PATH", "The cgroup above its own [default: the program's name]"),
        ("resource-limit", "NAME=VALUE", "fsize (bytes) or no-file (descriptors) [default: no-file=2048]; may be repeated"),
        ("uid", "UID", "The user it runs as"),
        ("version", null, "Shows the version"),
    ];

    private static readonly string[] s_repeated = ["cgroup", "resource-limit"];

    public bool Help { get; init; }

    public bool Version { get; init; }

    public string Id { get; init; } = "";

    public string ExecFile { get; init; } = "";

    public uint Uid { get; init; }

    public uint Gid { get; init; }

    public string BaseDirectory { get; init; } = DefaultBase;

    public string? NetworkNamespace { get; init; }

    public bool Daemonize { get; init; }

    public bool NewPidNamespace { get; init; }

    public int CgroupVersion { get; init; } = 1;

    /// <summary>Null: the program's name.</summary>
    public string? ParentCgroup { get; init; }

    /// <summary>In the order they were given.</summary>
    public IReadOnlyList<CgroupSetting> Cgroups { get; init; } = [];

    /// <summary>The most bytes of a file it writes; null for no limit of ours.</summary>
    public ulong? FileSizeLimit { get; init; }

    public ulong FilesLimit { get; init; } = DefaultFiles;

    /// <summary>For the program, behind <c>--</c>.</summary>
    public IReadOnlyList<string> ForProgram { get; init; } = [];

    public static string VersionText => $"Jailer v{typeof(JailerArguments).Assembly.GetName().Version?.ToString(3)} (hearth-jailer)";

    public static string HelpText
    {
        get
        {
            var lines = new List<string> { "hearth-jailer: starts a microVM monitor in a jail", string.Empty, "Options:" };
            lines.AddRange(s_options.Select(o => $"  --{o.Name + (o.Value is null ? string.Empty : $" <{o.Value}>"),-30} {o.Help}"));
            lines.AddRange([string.Empty, "What follows -- is given to the program."]);
            return string.Join('\n', lines);
        }
    }

    /// <exception cref="JailerException">An option is unknown, missing, repeated, lacks its value, or has a bad one.</exception>
    public static JailerArguments Parse(ReadOnlySpan<string> arguments)
    {
        int separator = arguments.IndexOf("--");
        string[] forProgram = separator < 0 ? [] : arguments[(separator + 1)..].ToArray();
        arguments = separator < 0 ? arguments : arguments[..separator];
        bool help = arguments.Contains("--help") || arguments.Contains("-h");
        if (help || arguments.Contains("--version"))
        {
            return new JailerArguments { Help = help, Version = !help };
        }

        Dictionary<string, List<string>> given = Collect(arguments);
        var limits = new List<(string Name, ulong Value)>();
        foreach (string limit in given.GetValueOrDefault("resource-limit", []))
        {
            limits.Add(Limit(limit));
        }

        return new JailerArguments
        {
            Id = CheckId(Required(given, "id")),
            ExecFile = Required(given, "exec-file"),
            Uid = Number(given, "uid"),
            Gid = Number(given, "gid"),
            BaseDirectory = Single(given, "chroot-base-dir") ?? DefaultBase,
            NetworkNamespace = Single(given, "netns"),
            Daemonize = given.ContainsKey("daemonize"),
            NewPidNamespace = given.ContainsKey("new-pid-ns"),
            CgroupVersion = Single(given, "cgroup-version") switch
            {
                null or "1" => 1,
                "2" => 2,
                var other => throw new JailerException($"{other} is an invalid cgroup version specifier: it is 1 or 2."),
            },
            ParentCgroup = Single(given, "parent-cgroup") is { } parent ? CheckParent(parent) : null,
            Cgroups = [.. given.GetValueOrDefault("cgroup", []).Select(CgroupSetting.Parse)],
            FileSizeLimit = limits.Where(static limit => limit.Name == "fsize").Select(static limit => (ulong?)limit.Value).LastOrDefault(),
            FilesLimit = limits.Where(static limit => limit.Name == "no-file").Select(static limit => (ulong?)limit.Value).LastOrDefault() ?? DefaultFiles,
            ForProgram = forProgram,
        };
    }

    private static Dictionary<string, List<string>> Collect(ReadOnlySpan<string> arguments)
    {
        var given = new Dictionary<string, List<string>>(StringComparer.Ordinal);
        for (int i = 0; i < arguments.Length; i++)
        {
            string argument = arguments[i];
            string[] parts = argument.StartsWith("--", StringComparison.Ordinal) ? argument[2..].Split('=', 2) : [""];
            int index = Array.FindIndex(s_options, o => o.Name == parts[0]);
            if (index < 0)
            {
                throw Failure($"Found argument '{argument}' which wasn't expected, or isn't valid in this context.");
            }

            string name = parts[0];
            string value = string.Empty;
            if (s_options[index].Value is not null)
            {
                value = parts.Length == 2 ? parts[1]
                    : i + 1 < arguments.Length && !arguments[i + 1].StartsWith("--", StringComparison.Ordinal) ? arguments[++i]
                    : throw Failure($"The argument '{name}' requires a value, but none was supplied.");
            }
            else if (parts.Length == 2)
            {
                throw Failure($"The argument '{name}' takes no value.");
            }

            if (given.TryGetValue(name, out List<string>? values) && !s_repeated.Contains(name))
            {
                throw Failure($"The argument '{name}' was provided more than once.");
            }

            (values ?? (given[name] = [])).Add(value);
        }

        return given;
    }

    private static string? Single(Dictionary<string, List<string>> given, string name) => given.GetValueOrDefault(name)?[0];

    private static string Required(Dictionary<string, List<string>> given, string name) =>
        Single(given, name) ?? throw Failure($"Argument '{name}' required, but not found.");

    private static uint Number(Dictionary<string, List<string>> given, string name)
    {
        string text = Required(given, name);
        // The last number is the kernel's "leave as it is".
        return uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out uint number) && number != uint.MaxValue
            ? number
            : throw new JailerException($"Invalid {name}: {text}");
    }

    private static string CheckId(string id) =>
        id.Length is > 0 and <= MaxIdLength && id.All(static c => char.IsAsciiLetterOrDigit(c) || c == '-')
            ? id
            : throw new JailerException($"Invalid instance ID '{id}': it has 1 to {MaxIdLength} letters, digits and '-'.");

    private static string CheckParent(string path) =>
        path.Split('/').All(DirectoryHandle.IsName)
            ? path
            : throw new JailerException("Parent cgroup path is invalid. Path should not be absolute or contain '..' or '.'");

    private static (string Name, ulong Value) Limit(string text)
    {
        string[] parts = text.Split('=', 2);
        if (parts.Length != 2)
        {
            throw new JailerException($"Invalid format for resources limits: {text}");
        }

        if (parts[0] is not ("fsize" or "no-file"))
        {
            throw new JailerException($"Invalid resource argument: {parts[0]}: it is fsize or no-file.");
        }

        return ulong.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out ulong value)
            ? (parts[0], value)
            : throw new JailerException($"Invalid limit value for resource: {parts[1]}");
    }

    private static JailerException Failure(string problem) =>
        new($"Failed to parse arguments: {problem}\n\nFor more information try --help.");
}
