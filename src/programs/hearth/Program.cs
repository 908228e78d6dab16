using System.CommandLine;
using Hearth.Linux;
using Hearth.Programs.Hearth;

var root = new RootCommand("Hearth: one microVM runtime for every container manager");
root.Subcommands.Add(KernelCommands.Create());
root.Subcommands.Add(RootFilesystemCommands.Create());
root.Subcommands.Add(InitrdCommands.Create());
foreach (Command command in ImageCommands.Create())
{
    root.Subcommands.Add(command);
}

try
{
    // Failures are told below, in one sentence; an interrupted command gets time to clean up after itself.
    var invocation = new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = TimeSpan.FromSeconds(60) };
    return await root.Parse(args).InvokeAsync(invocation);
}
catch (Exception e) when (e is HearthException or IOException or UnauthorizedAccessException)
{
    Console.Error.WriteLine($"hearth: {e.Message}");
    return 1;
}
catch (OperationCanceledException)
{
    Console.Error.WriteLine("hearth: interrupted; nothing half-made is left behind");
    return 130;
}
