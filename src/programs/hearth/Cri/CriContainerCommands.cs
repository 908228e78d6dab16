using System.CommandLine;
using Hearth.Cri.Protocol;
using Hearth.Programs.Hearth.Containers;
using Hearth.Programs.Hearth.Daemon;
using Hearth.Programs.Hearth.Names;
using Hearth.Programs.Hearth.Output;
using Hearth.Programs.Hearth.Shell;

namespace Hearth.Programs.Hearth.Cri;

/// <summary><c>hearth cri create|start|ps|stop|rm|inspect</c>.</summary>
internal static class CriContainerCommands
{
    public static IEnumerable<Command> Create() => [Make(), Start(), List(), Stop(), Remove(), Inspect()];

    private static Command Make()
    {
        var pod = new Argument<string>("POD") { Description = "A pod's name, or the beginning of its id" };
        pod.CompletionSources.Add(Suggestions.Pods);
        var file = new Argument<string>("CONTAINER_CONFIG") { Description = "The container, as a JSON file" };
        var podFile = new Argument<string>("POD_CONFIG") { Description = "The pod that runp was given" };
        var pull = new Option<bool>("--with-pull") { Description = "Fetches the image first" };
        var command = new Command("create", "CreateContainer: makes a container in a pod, and prints its id") { pod, file, podFile, pull };
        command.SetDaemonAction(async (result, daemon, cancellation) =>
        {
            PodSandbox found = await Lookup.PodAsync(daemon, result.GetRequiredValue(pod), cancellation);
            var request = new CreateContainerRequest
            {
                PodSandboxId = found.Id,
                Config = CriFile.Container(result.GetRequiredValue(file)),
                SandboxConfig = CriFile.Pod(result.GetRequiredValue(podFile)),
            };
            if (result.GetValue(pull))
            {
                await daemon.Images.PullImageAsync(new PullImageRequest { Image = request.Config.Image, SandboxConfig = request.SandboxConfig }, cancellationToken: cancellation);
            }

            Console.WriteLine((await daemon.Runtime.CreateContainerAsync(request, cancellationToken: cancellation)).ContainerId);
        });
        return command;
    }

    private static Command Start()
    {
        Argument<string[]> names = CommonOptions.Containers();
        var command = new Command("start", "StartContainer") { names };
        command.SetDaemonAction(async (result, daemon, cancellation) =>
        {
            foreach (string name in result.GetRequiredValue(names))
            {
                Container container = await Lookup.ContainerAsync(daemon, name, cancellation);
                await daemon.Runtime.StartContainerAsync(new StartContainerRequest { ContainerId = container.Id }, cancellationToken: cancellation);
                Console.WriteLine(name);
            }
        });
        return command;
    }

    private static Command List()
    {
        var all = new Option<bool>("--all", "-a") { Description = "Those too that do not run" };
        Option<bool> quiet = CommonOptions.Quiet("ids");
        Option<string> output = CriPodCommands.OutputOption(CommonOptions.Table);
        var command = new Command("ps", "ListContainers") { all, quiet, output };
        command.SetDaemonAction(async (result, daemon, cancellation) =>
        {
            ContainerFilter? filter = result.GetValue(all) ? null : new ContainerFilter { State = new ContainerStateValue { State = ContainerState.ContainerRunning } };
            ListContainersResponse containers = await daemon.Runtime.ListContainersAsync(new ListContainersRequest { Filter = filter }, cancellationToken: cancellation);
            if (result.GetValue(quiet))
            {
                ListCommands.PrintIds(containers.Containers.Select(container => container.Id));
            }
            else if (result.GetValue(output) == CommonOptions.Json)
            {
                Console.WriteLine(Json.Of(containers));
            }
            else
            {
                var table = new Table("CONTAINER", "IMAGE", "CREATED", "STATE", "NAME", "ATTEMPT", "POD ID", "POD");
                foreach (ContainerRow row in await ListCommands.RowsAsync(daemon, containers.Containers, cancellation))
                {
                    Container container = row.Container;
                    table.Add(Humane.ShortId(container.Id), row.Image,
                        Humane.Ago(container.CreatedAt, DateTimeOffset.UtcNow), container.State.ToString()["Container".Length..], container.Metadata?.Name ?? "",
                        $"{container.Metadata?.Attempt}", Humane.ShortId(container.PodSandboxId), row.Pod?.Metadata?.Name ?? "unknown");
                }

                table.Write(Console.Out, Palette.Output);
            }
        });
        return command;
    }

    private static Command Stop()
    {
        Argument<string[]> names = CommonOptions.Containers();
        var timeout = new Option<long>("--timeout", "-t") { Description = "Seconds until it is killed", HelpName = "SECONDS" };
        var command = new Command("stop", "StopContainer") { names, timeout };
        command.SetDaemonAction(async (result, daemon, cancellation) =>
        {
            foreach (string name in result.GetRequiredValue(names))
            {
                await ContainerRemoval.StopAsync(daemon, await Lookup.ContainerAsync(daemon, name, cancellation), result.GetValue(timeout), cancellation);
                Console.WriteLine(name);
            }
        });
        return command;
    }

    private static Command Remove()
    {
        Argument<string[]> names = CommonOptions.Containers();
        var force = new Option<bool>("--force", "-f") { Description = "Stops it first" };
        var command = new Command("rm", "RemoveContainer") { names, force };
        command.SetDaemonAction(async (result, daemon, cancellation) =>
        {
            foreach (string name in result.GetRequiredValue(names))
            {
                Container container = await Lookup.ContainerAsync(daemon, name, cancellation);
                if (result.GetValue(force))
                {
                    await ContainerRemoval.StopAsync(daemon, container, 0, cancellation);
                }
                else if (container.State == ContainerState.ContainerRunning)
                {
                    throw new CommandLineException($"Container {name} runs. Stop it first (hearth cri stop {name}), or use rm -f.");
                }

                await daemon.Runtime.RemoveContainerAsync(new RemoveContainerRequest { ContainerId = container.Id }, cancellationToken: cancellation);
                Console.WriteLine(name);
            }
        });
        return command;
    }

    private static Command Inspect()
    {
        Argument<string[]> names = CommonOptions.Containers();
        var command = new Command("inspect", "ContainerStatus") { names };
        command.SetDaemonAction(async (result, daemon, cancellation) =>
        {
            foreach (string name in result.GetRequiredValue(names))
            {
                Console.WriteLine(await ListCommands.StatusJsonAsync(daemon, await Lookup.ContainerAsync(daemon, name, cancellation), cancellation));
            }
        });
        return command;
    }
}
