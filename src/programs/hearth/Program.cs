using System.CommandLine;
using Grpc.Core;
using Hearth.Configuration;
using Hearth.Linux;
using Hearth.Programs.Hearth;
using Hearth.Programs.Hearth.Daemon;
using Hearth.Programs.Hearth.Output;

const int Interrupted = 130;
// What a run does with signals is its own business.
string[] ownSignals = ["run"];
// One leaves these by Ctrl-C, and needs no word about it.
string[] endless = ["logs", "events", "stats", "top", "attach", "wait", "port-forward"];
ParseResult parsed = CommandTree.Parse(CommandTree.Create(), args);
string command = parsed.CommandResult.Command.Name;
try
{
    // Failures are told below, in one sentence; an interrupted command gets time to clean up after itself.
    var invocation = new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = ownSignals.Contains(command) ? null : TimeSpan.FromSeconds(60) };
    return await parsed.InvokeAsync(invocation);
}
catch (CommandLineException e)
{
    return Fail(e.Message, e.ExitStatus);
}
catch (Exception e) when (e is HearthException or ConfigException or IOException or UnauthorizedAccessException)
{
    return Fail(e.Message, 1);
}
catch (Exception e) when (e is OperationCanceledException or RpcException { StatusCode: StatusCode.Cancelled })
{
    return endless.Contains(command) ? Interrupted : Fail("interrupted; nothing half-made is left behind", Interrupted);
}
catch (RpcException e)
{
    return Fail(DaemonClient.Explain(e), CommandLineException.RuntimeFailed);
}

static int Fail(string message, int status)
{
    string[] lines = message.Split('\n');
    Console.Error.WriteLine($"{Palette.Error.Red("hearth:")} {string.Join('\n', lines.Select(Humane.Printable))}");
    return status;
}
