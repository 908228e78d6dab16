using Hearth.Linux;
using Hearth.Programs.Vmm;
using Hearth.Vmm;
using Hearth.Vmm.Actions;
using Hearth.Vmm.Api;
using Hearth.Vmm.Api.Http;
using Hearth.Vmm.Configuration;
using Hearth.Vmm.Machines;
using Hearth.Vmm.Telemetry;

CommandLine arguments;
try
{
    arguments = CommandLine.Parse(args);
}
catch (ArgumentParsingException e)
{
    return Fail(e.Message, ExitCode.ArgumentParsing);
}

if (arguments.Help)
{
    Console.Out.WriteLine(CommandLine.HelpText);
    return (int)ExitCode.Ok;
}

if (arguments.Version)
{
    Console.Out.WriteLine($"Firecracker v{ApiVersion.Firecracker} (hearth-vmm {ApiVersion.Hearth})");
    return (int)ExitCode.Ok;
}

using var log = new Logger(arguments.Instance.Id);
using var loop = new EventLoop();
var exit = new ProcessExit(loop);
var preboot = new PrebootController(new VmResources(arguments.Instance, log), new MachineBuilder(exit, m => log.Info(m)));
var controller = new VmmController(preboot);
ApiServer? server = null;
try
{
    log.Configure(arguments.Logger);
    if (!arguments.NoApi)
    {
        server = Listen();
    }

    if (arguments.Metadata is not null)
    {
        preboot.Resources.Metadata.Store.PutFile(arguments.Metadata);
    }

    if (arguments.ConfigFile is not null)
    {
        Configure(arguments.ConfigFile);
    }

    loop.Run();
    return (int)exit.Code;
}
catch (StartUpException e)
{
    return Fail(e.Message, e.Code);
}
catch (HearthException e)
{
    return Fail(e.Message, ExitCode.GenericError);
}
finally
{
    server?.Dispose();
    (preboot.Machine as IDisposable)?.Dispose();
}

ApiServer Listen()
{
    try
    {
        return new ApiServer(arguments.ApiSocket, loop, arguments.MaxPayloadBytes, request => RouteTable.Handle(request, controller.Run));
    }
    catch (LinuxException e) when (e.Errno == Errno.EADDRINUSE)
    {
        throw new StartUpException($"Failed to open the API socket at: {arguments.ApiSocket}. Check that it is not already used.", ExitCode.GenericError);
    }
    catch (LinuxException e)
    {
        throw new StartUpException($"Failed to open the API socket at: {arguments.ApiSocket}. {e.Message}", ExitCode.GenericError);
    }
}

void Configure(string path)
{
    try
    {
        ConfigFile.Run(path, controller);
    }
    catch (HearthException e)
    {
        throw new StartUpException($"Configuration for VMM from one single json failed: {e.Message}", ExitCode.BadConfiguration);
    }
}

int Fail(string message, ExitCode code)
{
    Console.Error.WriteLine($"Error: {message}");
    return (int)code;
}
