using System.CommandLine;
using Hearth.Configuration;

namespace Hearth.Programs.Hearth.Shell;

/// <summary>What a command line, the environment and the configuration come to.</summary>
/// <param name="Config">The configuration.</param>
/// <param name="ConfigPath">The file that it is of; null for the defaults.</param>
/// <param name="Socket">hearthd's.</param>
internal sealed record Settings(HearthConfig Config, string? ConfigPath, string Socket)
{
    public const string ConfigVariable = "HEARTH_CONFIG";
    public const string SocketVariable = "HEARTH_SOCKET";

    /// <summary>The image store that hearthd uses too.</summary>
    public string ImagesFolder => Path.Combine(Config.Daemon.Root, "images");

    public static Settings Of(ParseResult result)
    {
        string? path = FilePath(result);
        HearthConfig config = path is null ? new HearthConfig() : HearthConfig.Load(path);
        string socket = result.GetValue(CommonOptions.Host) ?? Variable(SocketVariable) ?? config.Daemon.Socket;
        return new Settings(config, path, WithoutScheme(socket));
    }

    /// <summary>The configuration file that a command line means; null for none.</summary>
    public static string? FilePath(ParseResult result) =>
        result.GetValue(CommonOptions.Config) ?? Variable(ConfigVariable) ?? (File.Exists(HearthConfig.DefaultPath) ? HearthConfig.DefaultPath : null);

    private static string WithoutScheme(string socket)
    {
        const string Scheme = "unix://";
        string path = socket.StartsWith(Scheme, StringComparison.Ordinal) ? socket[Scheme.Length..] : socket;
        return path.StartsWith('/')
            ? path
            : throw new CommandLineException($"\"{socket}\" is no socket: --host takes an absolute path, as /run/hearth/hearthd.sock, with or without unix:// before it.");
    }

    private static string? Variable(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;
}
