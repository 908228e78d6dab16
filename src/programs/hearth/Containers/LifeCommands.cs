using System.CommandLine;
using Grpc.Core;
using Hearth.Cri.Protocol;
using Hearth.Programs.Hearth.Daemon;
using Hearth.Programs.Hearth.Names;
using Hearth.Programs.Hearth.Output;
using Hearth.Programs.Hearth.Shell;

namespace Hearth.Programs.Hearth.Containers;

/// <summary><c>hearth start|stop|kill|rm|wait</c>.</summary>
internal static class LifeCommands
{
    public static IEnumerable<Command> Create() => [Start(), Stop(), Kill(), Remove(), Wait()];

    private static Command Start()
    {
        Argument<string[]> names = CommonOptions.Containers();
        var command = new Command("start", "Starts containers that were created and have not run") { names };
        command.SetDaemonAction(async (result, daemon, cancellation) => await ForEachAsync(daemon, result.GetRequiredValue(names), async container =>
        {
            if (container.State == ContainerState.ContainerExited)
            {
                throw new CommandLineException($"{container.Metadata.Name} has ended, and CRI's containers run once. Make a new one: hearth run {container.Image?.UserSpecifiedImage}");
            }

            await daemon.Runtime.StartContainerAsync(new StartContainerRequest { ContainerId = container.Id }, cancellationToken: cancellation);
        }, cancellation));
        return command;
    }

    private static Command Stop()
    {
        Argument<string[]> names = CommonOptions.Containers();
        var time = new Option<long>("--time", "-t") { Description = "Seconds until what has not ended is killed", HelpName = "SECONDS", DefaultValueFactory = _ => ContainerRemoval.DefaultStopSeconds };
        var command = new Command("stop", "Asks containers to end, and kills those that do not") { names, time };
        command.SetDaemonAction(async (result, daemon, cancellation) => await ForEachAsync(
            daemon, result.GetRequiredValue(names), container => ContainerRemoval.StopAsync(daemon, container, result.GetValue(time), cancellation), cancellation));
        return command;
    }

    private static Command Kill()
    {
        Argument<string[]> names = CommonOptions.Containers();
        var signal = new Option<string>("--signal", "-s") { Description = "Its name or number", HelpName = "SIGNAL", DefaultValueFactory = _ => "KILL" };
        var command = new Command("kill", "Sends a signal to containers' first processes") { names, signal };
        command.SetDaemonAction(async (result, daemon, cancellation) =>
        {
            uint number = SignalNames.Parse(result.GetRequiredValue(signal));
            return await ForEachAsync(daemon, result.GetRequiredValue(names), container => SignalAsync(daemon, container.Id, number, cancellation), cancellation);
        });
        return command;
    }

    private static Command Remove()
    {
        Argument<string[]> names = CommonOptions.Containers();
        var force = new Option<bool>("--force", "-f") { Description = "Those too that run: they are killed" };
        var command = new Command("rm", "Removes containers, and the pods that hearth run made for them") { names, force };
        command.SetDaemonAction(async (result, daemon, cancellation) => await ForEachAsync(daemon, result.GetRequiredValue(names), async container =>
        {
            if (container.State == ContainerState.ContainerRunning && !result.GetValue(force))
            {
                throw new CommandLineException($"{container.Metadata.Name} runs. Stop it first (hearth stop {container.Metadata.Name}), or use hearth rm -f.");
            }

            await ContainerRemoval.RemoveAsync(daemon, container, cancellation);
        }, cancellation));
        return command;
    }

    private static Command Wait()
    {
        Argument<string[]> names = CommonOptions.Containers();
        var command = new Command("wait", "Waits until containers have ended, and prints their exit statuses") { names };
        command.SetDaemonAction(async (result, daemon, cancellation) =>
        {
            foreach (Container container in await Lookup.ContainersAsync(daemon, result.GetRequiredValue(names), cancellation))
            {
                ContainerStatus? status = await ContainerEnd.WaitAsync(daemon, container.Id, cancellation);
                Console.WriteLine(status?.ExitCode ?? 0);
            }
        });
        return command;
    }

    public static async Task SignalAsync(DaemonClient daemon, string containerId, uint signal, CancellationToken cancellation) =>
        await daemon.Person.SignalAsync(new SignalRequest { ContainerId = containerId, Signal = signal }, cancellationToken: cancellation);

    /// <summary>All of them, one after another: one that fails does not save the others.</summary>
    private static async Task<int> ForEachAsync(DaemonClient daemon, string[] names, Func<Container, Task> action, CancellationToken cancellation)
    {
        int status = 0;
        foreach (string name in names)
        {
            try
            {
                await action(await Lookup.ContainerAsync(daemon, name, cancellation));
                Console.WriteLine(name);
            }
            catch (Exception e) when (e is CommandLineException or RpcException { StatusCode: not StatusCode.Cancelled })
            {
                string message = e is RpcException failure ? DaemonClient.Explain(failure, daemon.Settings.Socket) : e.Message;
                Console.Error.WriteLine($"hearth: {Humane.Printable(message)}");
                status = 1;
            }
        }

        return status;
    }
}
