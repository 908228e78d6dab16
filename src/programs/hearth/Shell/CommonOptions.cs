using System.CommandLine;

namespace Hearth.Programs.Hearth.Shell;

/// <summary>Options that many commands have, under the same names everywhere.</summary>
internal static class CommonOptions
{
    public const string Json = "json";
    public const string Table = "table";

    /// <summary>For all commands: the configuration, which says where the socket and the images are.</summary>
    public static Option<string?> Config { get; } = new("--config")
    {
        Description = "The configuration ($HEARTH_CONFIG, else /etc/hearth/hearth.toml where it is)",
        HelpName = "FILE",
        Recursive = true,
    };

    /// <summary>For all commands: the daemon's socket, in place of the configured one.</summary>
    public static Option<string?> Host { get; } = new("--host", "-H")
    {
        Description = "hearthd's socket ($HEARTH_SOCKET, else the configuration's)",
        HelpName = "SOCKET",
        Recursive = true,
    };

    public static Option<string> Format()
    {
        var format = new Option<string>("--format") { Description = "table or json", DefaultValueFactory = _ => Table };
        format.AcceptOnlyFromAmong(Table, Json);
        return format;
    }

    public static Option<bool> Quiet(string what) => new("--quiet", "-q") { Description = $"Prints {what} only" };

    /// <summary>Several containers, by unique prefixes of ids, or names.</summary>
    public static Argument<string[]> Containers()
    {
        var argument = new Argument<string[]>("CONTAINER") { Description = "Names, or the beginnings of ids", Arity = ArgumentArity.OneOrMore };
        argument.CompletionSources.Add(Suggestions.Containers);
        return argument;
    }

    public static Argument<string> Container()
    {
        var argument = new Argument<string>("CONTAINER") { Description = "A name, or the beginning of an id" };
        argument.CompletionSources.Add(Suggestions.Containers);
        return argument;
    }

    public static Argument<string> Image()
    {
        var argument = new Argument<string>("IMAGE") { Description = "[REGISTRY[:PORT]/]NAME[:TAG][@DIGEST]" };
        argument.CompletionSources.Add(Suggestions.Images);
        return argument;
    }
}
