using System.Globalization;
using Hearth.Linux;
using Hearth.Vmm.Configuration;
using Hearth.Vmm.Telemetry;

namespace Hearth.Programs.Vmm;

/// <summary>The arguments cannot be used: exit code 153.</summary>
internal sealed class ArgumentParsingException : HearthException
{
    public ArgumentParsingException(string problem)
        : base($"Arguments parsing error: {problem}\n\nFor more information try --help.")
    {
    }
}

/// <summary>
/// Firecracker's command line: long options, values as the next argument or after <c>=</c>. Source: Firecracker
/// src/firecracker/src/main.rs.
/// </summary>
internal sealed record CommandLine
{
    public const string DefaultSocket = "/run/firecracker.socket";

    private const int DefaultPayloadBytes = 51_200;
    private const int MaxIdLength = 64;

    // Name, the value's name in --help (null for a flag), what it does.
    private static readonly (string Name, string? Value, string Help)[] s_options =
    [
        ("api-sock", "PATH", "Path to the Unix socket of the API [default: /run/firecracker.socket]"),
        ("boot-timer", null, "Whether to log how long the guest takes to boot"),
        ("config-file", "PATH", "Path to a file that contains the microVM configuration in JSON"),
        ("enable-pci", null, "Not supported yet"),
        ("help", null, "Shows this help"),
        ("http-api-max-payload-size", "BYTES", "The largest request body [default: 51200]"),
        ("id", "ID", "The microVM's identifier: letters, digits and '-' [default: anonymous-instance]"),
        ("level", "LEVEL", "Log level: Off, Error, Warning, Info, Debug, Trace [default: Info]"),
        ("log-path", "PATH", "Path to a file or FIFO for the log [default: standard error]"),
        ("metadata", "PATH", "Path to a file with the metadata to start with, in JSON"),
        ("metrics-path", "PATH", "Path to a file or FIFO for the metrics"),
        ("mmds-size-limit", "BYTES", "The most the metadata may take [default: as --http-api-max-payload-size]"),
        ("module", "NAME", "Only log what comes from this module"),
        ("no-api", null, "Run without the API; needs --config-file"),
        ("no-seccomp", null, "Runs without seccomp filters: not for production"),
        ("parent-cpu-time-us", "US", "CPU time of the parent process"),
        ("seccomp-filter", "PATH", "Path to seccomp filters made by 'hearth seccomp build', instead of the built-in ones"),
        ("show-level", null, "Whether log lines say their level"),
        ("show-log-origin", null, "Whether log lines say where they come from"),
        ("start-time-cpu-us", "US", "CPU time at the process's start"),
        ("start-time-us", "US", "Wall-clock time at the process's start"),
        ("strict-firecracker", null, "Refuse what Firecracker itself does not have, as under the name firecracker"),
        ("version", null, "Shows the version"),
    ];

    // What Firecracker has and Hearth does not yet.
    private static readonly string[] s_notYet =
        ["describe-snapshot", "snapshot-version"];

    public bool Help { get; init; }

    public bool Version { get; init; }

    public string ApiSocket { get; init; } = DefaultSocket;

    public bool NoApi { get; init; }

    public string? ConfigFile { get; init; }

    public string? Metadata { get; init; }

    public string? MetricsPath { get; init; }

    /// <summary>When the process was started, by the monotonic clock.</summary>
    public ulong? StartTimeUs { get; init; }

    /// <summary>How much CPU the process had used when it was started.</summary>
    public ulong? StartTimeCpuUs { get; init; }

    /// <summary>How much its parent had used for it.</summary>
    public ulong ParentCpuTimeUs { get; init; }

    public int MaxPayloadBytes { get; init; } = DefaultPayloadBytes;

    /// <summary>A file of the user's own seccomp filters.</summary>
    public string? SeccompFilter { get; init; }

    public InstanceOptions Instance { get; init; } = new();

    public LoggerConfig Logger { get; init; } = new();

    /// <summary>What <c>--help</c> prints.</summary>
    public static string HelpText
    {
        get
        {
            var lines = new List<string> { "hearth-vmm: a microVM monitor with Firecracker's API", string.Empty, "Options:" };
            lines.AddRange(s_options.Select(o => $"  --{o.Name + (o.Value is null ? string.Empty : $" <{o.Value}>"),-36} {o.Help}"));
            return string.Join('\n', lines);
        }
    }

    /// <param name="arguments">The options.</param>
    /// <param name="program">The name that the monitor was started by: as <c>firecracker</c> it is strictly that.</param>
    /// <exception cref="ArgumentParsingException">An option is unknown, repeated, lacks its value, or has a bad one.</exception>
    /// <exception cref="ConfigurationException">There is no such log level, which is a bad configuration to Firecracker.</exception>
    public static CommandLine Parse(ReadOnlySpan<string> arguments, string program)
    {
        // What follows a lone "--" is not for the monitor. Help and version are given whatever else is asked for.
        int separator = arguments.IndexOf("--");
        arguments = separator < 0 ? arguments : arguments[..separator];
        bool help = arguments.Contains("--help") || arguments.Contains("-h");
        if (help || arguments.Contains("--version"))
        {
            return new CommandLine { Help = help, Version = !help };
        }

        Dictionary<string, string> given = Collect(arguments);
        bool noApi = given.ContainsKey("no-api");
        if (noApi && !given.ContainsKey("config-file"))
        {
            throw new ArgumentParsingException("Argument 'config-file' required, but not found.");
        }

        if (given.ContainsKey("no-seccomp") && given.ContainsKey("seccomp-filter"))
        {
            throw new ArgumentParsingException("Argument 'seccomp-filter' cannot be used together with argument 'no-seccomp'.");
        }

        if (given.ContainsKey("enable-pci"))
        {
            throw new ArgumentParsingException("'--enable-pci' is not supported by hearth-vmm yet: leave it out for virtio over MMIO.");
        }

        ulong maxPayloadBytes = Number(given, "http-api-max-payload-size", int.MaxValue / 2) ?? DefaultPayloadBytes;
        return new CommandLine
        {
            ApiSocket = given.GetValueOrDefault("api-sock", DefaultSocket),
            NoApi = noApi,
            ConfigFile = given.GetValueOrDefault("config-file"),
            Metadata = given.GetValueOrDefault("metadata"),
            StartTimeUs = Number(given, "start-time-us", long.MaxValue),
            StartTimeCpuUs = Number(given, "start-time-cpu-us", long.MaxValue),
            ParentCpuTimeUs = Number(given, "parent-cpu-time-us", long.MaxValue) ?? 0,
            MetricsPath = given.GetValueOrDefault("metrics-path"),
            MaxPayloadBytes = (int)maxPayloadBytes,
            SeccompFilter = given.GetValueOrDefault("seccomp-filter"),
            Instance = new InstanceOptions
            {
                Id = Id(given.GetValueOrDefault("id", "anonymous-instance")),
                BootTimer = given.ContainsKey("boot-timer"),
                NoSeccomp = given.ContainsKey("no-seccomp"),
                StrictFirecracker = given.ContainsKey("strict-firecracker") || Path.GetFileName(program) == "firecracker",
                MmdsSizeLimit = (int)(Number(given, "mmds-size-limit", int.MaxValue / 2) ?? maxPayloadBytes),
            },
            Logger = new LoggerConfig
            {
                LogPath = given.GetValueOrDefault("log-path"),
                Level = given.TryGetValue("level", out string? level) ? LoggerConfig.ParseLevel(level) : null,
                ShowLevel = given.ContainsKey("show-level") ? true : null,
                ShowLogOrigin = given.ContainsKey("show-log-origin") ? true : null,
                Module = given.GetValueOrDefault("module"),
            },
        };
    }

    private static Dictionary<string, string> Collect(ReadOnlySpan<string> arguments)
    {
        var given = new Dictionary<string, string>(StringComparer.Ordinal);
        for (int i = 0; i < arguments.Length; i++)
        {
            string argument = arguments[i];
            if (!argument.StartsWith("--", StringComparison.Ordinal))
            {
                throw new ArgumentParsingException($"Found argument '{argument}' which wasn't expected, or isn't valid in this context.");
            }

            string[] parts = argument[2..].Split('=', 2);
            string name = parts[0];
            if (s_notYet.Contains(name))
            {
                throw new ArgumentParsingException($"'--{name}' is not supported by hearth-vmm yet.");
            }

            int index = Array.FindIndex(s_options, o => o.Name == name);
            if (index < 0)
            {
                throw new ArgumentParsingException($"Found argument '{name}' which wasn't expected, or isn't valid in this context.");
            }

            string value = string.Empty;
            if (s_options[index].Value is not null)
            {
                value = parts.Length == 2 ? parts[1]
                    : i + 1 < arguments.Length && !arguments[i + 1].StartsWith("--", StringComparison.Ordinal) ? arguments[++i]
                    : throw new ArgumentParsingException($"The argument '{name}' requires a value, but none was supplied.");
            }
            else if (parts.Length == 2)
            {
                throw new ArgumentParsingException($"The argument '{name}' takes no value.");
            }

            if (!given.TryAdd(name, value))
            {
                throw new ArgumentParsingException($"The argument '{name}' was provided more than once.");
            }
        }

        return given;
    }

    private static ulong? Number(Dictionary<string, string> given, string name, ulong most)
    {
        if (!given.TryGetValue(name, out string? text))
        {
            return null;
        }

        return ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong value) && value <= most
            ? value
            : throw new ArgumentParsingException($"'--{name}' takes a whole number up to {most}, and was given '{text}'.");
    }

    private static string Id(string id) =>
        id.Length is > 0 and <= MaxIdLength && id.All(c => char.IsAsciiLetterOrDigit(c) || c == '-')
            ? id
            : throw new ArgumentParsingException($"Invalid instance ID '{id}': it has 1 to {MaxIdLength} letters, digits and '-'.");
}
