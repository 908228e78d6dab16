using Hearth.Configuration;
using Hearth.Images.Building;
using Hearth.Linux;
using Hearth.Programs.Daemon;
using Hearth.Programs.Daemon.Cri;

// A child of a daemon's, which reads what registries send.
if (ImageBuilderProgram.RunIfAsked(args) is { } status)
{
    return status;
}

try
{
    DaemonOptions options = DaemonOptions.Parse(args);
    if (options.Help)
    {
        Console.WriteLine(DaemonOptions.Usage);
        return 0;
    }

    if (options.Version)
    {
        Console.WriteLine($"hearthd {RuntimeServer.ProgramVersion}");
        return 0;
    }

    DaemonConfinement.Apply();
    (HearthConfig config, string? path) = options.ReadConfig();
    await Daemon.RunAsync(config, path);
    return 0;
}
catch (Exception e) when (e is HearthException or ConfigException or IOException or UnauthorizedAccessException)
{
    Console.Error.WriteLine($"hearthd: {e.Message}");
    return 1;
}
