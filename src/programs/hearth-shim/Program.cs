using Hearth.Linux;
using Hearth.Shim.Bootstrap;

// The same program as containerd-shim-hearth-v2. Errors go to the standard error as one line: managers show it as it is.
try
{
    ShimArguments arguments = ShimArguments.Parse(args);
    if (arguments.Version)
    {
        Console.WriteLine($"{Path.GetFileName(Environment.ProcessPath)}:\n  Version:  {InfoCommand.Version}");
        return 0;
    }

    using Stream output = Console.OpenStandardOutput();
    switch (arguments)
    {
        case { Info: true }:
            InfoCommand.Run(StandardInput.Read(), output);
            break;
        case { Action: "start" }:
            StartCommand.Run(arguments, StandardInput.Read(), output);
            break;
        case { Action: "delete" }:
            await DeleteCommand.RunAsync(arguments, output);
            break;
        case { Action: "clean-up" }:
            await DeleteCommand.CleanUpAsync(arguments);
            break;
        default:
            await ShimProcess.RunAsync(arguments);
            break;
    }

    return 0;
}
catch (Exception e) when (e is HearthException or IOException or UnauthorizedAccessException)
{
    Console.Error.WriteLine($"hearth-shim: {e.Message}");
    return 1;
}
