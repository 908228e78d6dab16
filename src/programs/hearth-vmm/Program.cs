using System.Text;
using Hearth.Legacy;
using Hearth.Linux;
using Hearth.Linux.Seccomp;
using Hearth.Programs.Vmm;
using Hearth.Vmm;
using Hearth.Vmm.Actions;
using Hearth.Vmm.Api;
using Hearth.Vmm.Api.Http;
using Hearth.Vmm.Configuration;
using Hearth.Vmm.Machines;
using Hearth.Vmm.Telemetry;
using Hearth.Vmm.Telemetry.Metrics;

// For `hearth doctor`, which must not know KVM itself: no option of Firecracker's, and in no help.
if (args is ["--kvm-speed"])
{
    return KvmSpeedRole.Run();
}

CommandLine arguments;
try
{
    arguments = CommandLine.Parse(args, Environment.GetCommandLineArgs()[0]);
}
catch (ArgumentParsingException e)
{
    return Fail(e.Message, ExitCode.ArgumentParsing);
}
catch (ConfigurationException e)
{
    return Fail(e.Message, ExitCode.BadConfiguration);
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
FilterSet? filters = null;
try
{
    filters = arguments.SeccompFilter is { } path ? FilterSet.Read(path) : null;
}
catch (HearthException e)
{
    return Fail(e.Message, ExitCode.GenericError);
}

var resources = new VmResources(arguments.Instance with { SeccompFilter = filters }, log);
var preboot = new PrebootController(resources, new MachineBuilder(exit, m => log.Info(m)));
var controller = new VmmController(preboot);
ApiServer? server = null;
try
{
    log.Configure(arguments.Logger);
    // Each vsock stream is one; the soft limit is low by tradition, and the hard one is what whoever started us meant.
    Credentials.RaiseOpenFiles(ulong.MaxValue);
    resources.Metrics.Attach(loop);
    if (arguments.MetricsPath is not null)
    {
        resources.Metrics.Configure(new MetricsConfig { MetricsPath = arguments.MetricsPath });
    }

    log.Info($"Running Firecracker v{ApiVersion.Firecracker} (hearth-vmm {ApiVersion.Hearth})");
    if (!arguments.NoApi)
    {
        server = Listen();
        ReportStartUpTime();
    }

    if (arguments.Metadata is not null)
    {
        resources.Metadata.Store.PutFile(arguments.Metadata);
    }

    if (arguments.ConfigFile is not null)
    {
        Configure(arguments.ConfigFile);
    }

    loop.Run();
    string end = exit.Code == ExitCode.Ok ? "successfully" : "with error";
    log.Info($"Firecracker exiting {end}. exit_code={(int)exit.Code}");
    return (int)exit.Code;
}
catch (HearthException e)
{
    ExitCode code = e is StartUpException start ? start.Code : ExitCode.GenericError;
    // Standard error is told below: the log is for whoever reads a file.
    if (arguments.Logger.LogPath is not null)
    {
        log.Error(e.Message);
        log.Error($"Firecracker exiting with error. exit_code={(int)code}");
    }

    return Fail(e.Message, code);
}
finally
{
    server?.Dispose();
    // Its last line counts what the guest did until the end.
    resources.Metrics.Dispose();
    (preboot.Machine as IDisposable)?.Dispose();
}

void ReportStartUpTime()
{
    var now = BootInstant.Now();
    if (arguments.StartTimeUs is { } start)
    {
        resources.Metrics.ApiServer.ProcessStartupTimeUs.Set(now.MonotonicUs - (long)start);
    }

    if (arguments.StartTimeCpuUs is { } cpu)
    {
        resources.Metrics.ApiServer.ProcessStartupTimeCpuUs.Set(now.CpuUs - (long)cpu + (long)arguments.ParentCpuTimeUs);
    }
}

ApiServer Listen()
{
    try
    {
        var listening = new ApiServer(arguments.ApiSocket, loop, arguments.MaxPayloadBytes, request => RequestLog.Handle(request, controller, resources));
        log.Info($"Listening on API socket (\"{arguments.ApiSocket}\").");
        return listening;
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
    // Not Console: its first use starts threads and changes signals.
    using var error = new FileDescriptor(2, ownsHandle: false);
    _ = Polling.WriteWithoutBlocking(error, Encoding.UTF8.GetBytes($"Error: {message}\n"));
    return (int)code;
}
