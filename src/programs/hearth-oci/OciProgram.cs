using System.Net.Sockets;
using System.Reflection;
using System.Text;
using System.Text.Json;
using Hearth.Configuration;
using Hearth.Linux;
using Hearth.Oci.Runtime;
using Hearth.Ttrpc;

namespace Hearth.Programs.Oci;

/// <summary>The OCI runtime's command line: runc's, as conmon, Podman, Docker's shim and CRI-O use it.</summary>
internal static class OciProgram
{
    private const string DefaultRoot = "/run/hearth-oci";

    private const string Usage = """
        Usage: hearth-oci [--root DIR] [--log FILE] [--log-format text|json] [--systemd-cgroup] COMMAND
        An OCI runtime whose containers are microVMs.

          create [--bundle DIR] [--console-socket PATH] [--pid-file FILE] ID
          start ID                     delete [--force] ID
          state ID                     kill [--all] ID [SIGNAL]
          run [--bundle DIR] [-d] ID   exec [--process FILE] [-d] [--pid-file FILE] ID [COMMAND]
          ps ID                        pause ID / resume ID
          list [-q] [-f json]          update --resources FILE ID
          events [--stats] [--interval TIME] ID
          features                     spec [--bundle DIR]
        The configuration is hearth.toml: $HEARTH_CONFIG, else /etc/hearth/hearth.toml.
        """;

    public static async Task<int> RunAsync(string[] words)
    {
        if (words is [StandIn.Role, ..])
        {
            return StandIn.Run(controlling: words is [_, "controlling"]);
        }

        Arguments? arguments = null;
        try
        {
            arguments = Arguments.Parse(words);
            return await RunAsync(arguments);
        }
        catch (Exception e) when (e is HearthException or TtrpcException or ConfigException or SocketException or IOException or UnauthorizedAccessException)
        {
            ErrorLog.Write(arguments?.Value("log"), arguments?.Value("log-format"), e.Message);
            return 1;
        }
    }

    private static async Task<int> RunAsync(Arguments arguments)
    {
        var states = new StateFolder(arguments.Value("root") ?? DefaultRoot);
        switch (arguments.Command)
        {
            case "create":
                await CreateCommand.RunAsync(states, arguments);
                return 0;
            case "run":
                return await RunCommand.RunAsync(states, arguments);
            case "exec":
                return await ExecCommand.RunAsync(states, arguments);
            case "start":
                await LifeCommands.StartAsync(states.Read(arguments.Id()), states);
                return 0;
            case "state":
                await QueryCommands.StateAsync(states.Read(arguments.Id()));
                return 0;
            case "kill":
                await LifeCommands.SignalAsync(states.Read(arguments.Id()), arguments.Operands.ElementAtOrDefault(1) ?? arguments.Value("signal") ?? "TERM", arguments.Flag("all", "a"));
                return 0;
            case "delete":
                await LifeCommands.DeleteAsync(states, arguments.Id(), arguments.Flag("force", "f"));
                return 0;
            case "pause":
                await LifeCommands.PauseAsync(states.Read(arguments.Id()));
                return 0;
            case "resume":
                await LifeCommands.ResumeAsync(states.Read(arguments.Id()));
                return 0;
            case "update":
                await LifeCommands.UpdateAsync(states.Read(arguments.Id()), Resources(arguments));
                return 0;
            case "ps":
                await QueryCommands.ProcessesAsync(states.Read(arguments.Id()), arguments);
                return 0;
            case "list":
                await QueryCommands.ListAsync(states, arguments);
                return 0;
            case "features":
                QueryCommands.Features();
                return 0;
            case "spec":
                QueryCommands.Spec(arguments.Value("bundle", "b") ?? ".");
                return 0;
            case "events":
                await EventsCommand.RunAsync(states.Read(arguments.Id()), arguments);
                return 0;
            case "checkpoint" or "restore":
                throw new OciException($"{arguments.Command} is not supported: a container in a microVM cannot be checkpointed.");
            case "" when arguments.Flag("version", "v"):
                Console.WriteLine($"hearth-oci version {Version}");
                Console.WriteLine("spec: 1.2.0");
                return 0;
            default:
                Console.Error.WriteLine(Usage);
                return arguments.Command.Length == 0 && arguments.Flag("help", "h") ? 0 : 1;
        }
    }

    private static string Version => typeof(OciProgram).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0";

    private static byte[] Resources(Arguments arguments)
    {
        if (arguments.Value("resources", "r") is { } path)
        {
            return path == "-" ? Encoding.UTF8.GetBytes(Console.In.ReadToEnd()) : File.ReadAllBytes(path);
        }

        long? Number(string name) => arguments.Value(name) is { } text ? long.TryParse(text, out long number) ? number : throw new OciException($"--{name} takes a number; \"{text}\" is none.") : null;
        var resources = new ResourcesSpec
        {
            Memory = Number("memory") is { } limit ? new MemorySpec { Limit = limit } : null,
            Cpu = Number("cpu-quota") is { } quota ? new CpuSpec { Quota = quota, Period = (ulong?)Number("cpu-period") } : null,
            Pids = Number("pids-limit") is { } pids ? new PidsSpec { Limit = pids } : null,
        };
        return JsonSerializer.SerializeToUtf8Bytes(resources, RuntimeJson.Default.ResourcesSpec);
    }
}
