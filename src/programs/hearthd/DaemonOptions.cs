using Hearth.Configuration;
using Hearth.Linux;

namespace Hearth.Programs.Daemon;

/// <summary>The command line.</summary>
internal sealed record DaemonOptions
{
    public const string Usage =
        """
        Usage: hearthd [--config FILE] [--socket PATH] [--log-level LEVEL]
        Hearth's daemon: runs pods for kubelets and other clients of CRI v1.

          --config FILE      hearth.toml (default: /etc/hearth/hearth.toml if it is there, else the defaults)
          --socket PATH      in place of daemon.socket
          --log-level LEVEL  in place of daemon.log_level: trace, debug, info, warning, error
          --version
          --help
        """;

    public string? ConfigPath { get; init; }

    public string? Socket { get; init; }

    public string? LogLevel { get; init; }

    public bool Version { get; init; }

    public bool Help { get; init; }

    /// <exception cref="HearthException">An option that there is not, or without its value.</exception>
    public static DaemonOptions Parse(ReadOnlySpan<string> arguments)
    {
        var options = new DaemonOptions();
        while (!arguments.IsEmpty)
        {
            string argument = arguments[0];
            arguments = arguments[1..];
            int equals = argument.IndexOf('=');
            string name = equals > 0 ? argument[..equals] : argument;
            options = name switch
            {
                "--config" => options with { ConfigPath = Value(ref arguments, argument, equals) },
                "--socket" => options with { Socket = Value(ref arguments, argument, equals) },
                "--log-level" => options with { LogLevel = Value(ref arguments, argument, equals) },
                "--version" or "-v" => options with { Version = true },
                "--help" or "-h" => options with { Help = true },
                _ => throw new HearthException($"{argument} is no option of hearthd. See hearthd --help."),
            };
        }

        return options;
    }

    /// <summary>Reads the configuration, and puts what the command line says in its place.</summary>
    /// <returns>With the file's path; null if there is none.</returns>
    /// <exception cref="ConfigException">The file has mistakes, each named with its line, or cannot be read.</exception>
    public (HearthConfig Config, string? Path) ReadConfig()
    {
        string? path = ConfigPath ?? (File.Exists(HearthConfig.DefaultPath) ? HearthConfig.DefaultPath : null);
        HearthConfig config = new();
        if (path is not null)
        {
            ConfigFile file = ConfigFile.Read(path);
            config = file.Problems.Count == 0 ? file.Config : throw new ConfigException(file.Problems);
        }

        DaemonConfig daemon = config.Daemon;
        return (config with { Daemon = daemon with { Socket = Socket ?? daemon.Socket, LogLevel = LogLevel ?? daemon.LogLevel } }, path);
    }

    private static string Value(ref ReadOnlySpan<string> rest, string argument, int equals)
    {
        if (equals > 0)
        {
            return argument[(equals + 1)..];
        }

        if (rest.IsEmpty)
        {
            throw new HearthException($"{argument} wants a value. See hearthd --help.");
        }

        string value = rest[0];
        rest = rest[1..];
        return value;
    }
}
