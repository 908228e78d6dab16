using System.CommandLine;
using Hearth.Cri.Protocol;
using Hearth.Programs.Hearth.Containers;
using Hearth.Programs.Hearth.Daemon;
using Hearth.Programs.Hearth.Names;
using Hearth.Programs.Hearth.Output;
using Hearth.Programs.Hearth.Shell;

namespace Hearth.Programs.Hearth.Cri;

/// <summary><c>hearth cri runp|pods|inspectp|stopp|rmp|info|version</c>.</summary>
internal static class CriPodCommands
{
    public static IEnumerable<Command> Create() => [Run(), List(), Inspect(), Stop(), Remove(), Info(), Version()];

    private static Command Run()
    {
        var file = new Argument<string>("POD_CONFIG") { Description = "The pod, as a JSON file; - is standard input" };
        var handler = new Option<string>("--runtime", "-r") { Description = "The runtime handler", HelpName = "NAME", DefaultValueFactory = _ => "" };
        var command = new Command("runp", "RunPodSandbox: makes a pod, and prints its id") { file, handler };
        command.SetDaemonAction(async (result, daemon, cancellation) =>
        {
            var request = new RunPodSandboxRequest { Config = CriFile.Pod(result.GetRequiredValue(file)), RuntimeHandler = result.GetValue(handler) };
            Console.WriteLine((await daemon.Runtime.RunPodSandboxAsync(request, cancellationToken: cancellation)).PodSandboxId);
        });
        return command;
    }

    private static Command List()
    {
        Option<bool> quiet = CommonOptions.Quiet("ids");
        var output = OutputOption(CommonOptions.Table);
        var command = new Command("pods", "ListPodSandbox") { quiet, output };
        command.SetDaemonAction(async (result, daemon, cancellation) =>
        {
            ListPodSandboxResponse pods = await daemon.Runtime.ListPodSandboxAsync(new ListPodSandboxRequest(), cancellationToken: cancellation);
            if (result.GetValue(quiet))
            {
                ListCommands.PrintIds(pods.Items.Select(pod => pod.Id));
            }
            else if (result.GetValue(output) == CommonOptions.Json)
            {
                Console.WriteLine(Json.Of(pods));
            }
            else
            {
                var table = new Table("POD ID", "CREATED", "STATE", "NAME", "NAMESPACE", "ATTEMPT", "RUNTIME");
                foreach (PodSandbox pod in pods.Items.OrderByDescending(pod => pod.CreatedAt))
                {
                    table.Add(Humane.ShortId(pod.Id), Humane.Ago(pod.CreatedAt, DateTimeOffset.UtcNow), pod.State == PodSandboxState.SandboxReady ? "Ready" : "NotReady",
                        pod.Metadata?.Name ?? "", pod.Metadata?.Namespace ?? "", $"{pod.Metadata?.Attempt}", pod.RuntimeHandler.Length == 0 ? "(default)" : pod.RuntimeHandler);
                }

                table.Write(Console.Out, Palette.Output);
            }
        });
        return command;
    }

    private static Command Inspect()
    {
        Argument<string[]> names = Pods();
        var command = new Command("inspectp", "PodSandboxStatus") { names };
        command.SetDaemonAction(async (result, daemon, cancellation) =>
        {
            foreach (string name in result.GetRequiredValue(names))
            {
                Console.WriteLine(await ListCommands.StatusJsonAsync(daemon, await Lookup.PodAsync(daemon, name, cancellation), cancellation));
            }
        });
        return command;
    }

    private static Command Stop()
    {
        Argument<string[]> names = Pods();
        var command = new Command("stopp", "StopPodSandbox") { names };
        command.SetDaemonAction(async (result, daemon, cancellation) =>
        {
            foreach (string name in result.GetRequiredValue(names))
            {
                PodSandbox pod = await Lookup.PodAsync(daemon, name, cancellation);
                await daemon.Runtime.StopPodSandboxAsync(new StopPodSandboxRequest { PodSandboxId = pod.Id }, cancellationToken: cancellation);
                Console.WriteLine($"Stopped sandbox {name}");
            }
        });
        return command;
    }

    private static Command Remove()
    {
        Argument<string[]> names = Pods();
        var force = new Option<bool>("--force", "-f") { Description = "Stops it first" };
        var command = new Command("rmp", "RemovePodSandbox") { names, force };
        command.SetDaemonAction(async (result, daemon, cancellation) =>
        {
            foreach (string name in result.GetRequiredValue(names))
            {
                PodSandbox pod = await Lookup.PodAsync(daemon, name, cancellation);
                if (result.GetValue(force))
                {
                    await daemon.Runtime.StopPodSandboxAsync(new StopPodSandboxRequest { PodSandboxId = pod.Id }, cancellationToken: cancellation);
                }
                else if (pod.State == PodSandboxState.SandboxReady)
                {
                    throw new CommandLineException($"Pod {name} is ready. Stop it first (hearth cri stopp {name}), or use rmp -f.");
                }

                await daemon.Runtime.RemovePodSandboxAsync(new RemovePodSandboxRequest { PodSandboxId = pod.Id }, cancellationToken: cancellation);
                Console.WriteLine($"Removed sandbox {name}");
            }
        });
        return command;
    }

    private static Command Info()
    {
        var command = new Command("info", "Status: what the runtime says of itself, as JSON");
        command.SetDaemonAction(async (_, daemon, cancellation) =>
        {
            StatusResponse status = await daemon.Runtime.StatusAsync(new StatusRequest { Verbose = true }, cancellationToken: cancellation);
            RuntimeConfigResponse config = await daemon.Runtime.RuntimeConfigAsync(new RuntimeConfigRequest(), cancellationToken: cancellation);
            Console.WriteLine(Json.Write(json =>
            {
                json.WriteStartObject();
                Json.WriteMessage(json, "status", status.Status);
                json.WriteStartArray("runtimeHandlers");
                foreach (RuntimeHandler handler in status.RuntimeHandlers)
                {
                    json.WriteRawValue(Json.Line(handler));
                }

                json.WriteEndArray();
                Json.WriteMessage(json, "features", status.Features);
                Json.WriteMessage(json, "runtimeConfig", config);
                Json.WriteInfo(json, "info", status.Info);
                json.WriteEndObject();
            }));
        });
        return command;
    }

    private static Command Version()
    {
        var command = new Command("version", "Version");
        command.SetDaemonAction(async (_, daemon, cancellation) =>
        {
            VersionResponse version = await daemon.Runtime.VersionAsync(new VersionRequest { Version = "v1" }, cancellationToken: cancellation);
            Console.WriteLine($"Version:  {version.Version}");
            Console.WriteLine($"RuntimeName:  {version.RuntimeName}");
            Console.WriteLine($"RuntimeVersion:  {version.RuntimeVersion}");
            Console.WriteLine($"RuntimeApiVersion:  {version.RuntimeApiVersion}");
        });
        return command;
    }

    public static Option<string> OutputOption(string standard)
    {
        var output = new Option<string>("--output", "-o") { Description = "table or json", DefaultValueFactory = _ => standard };
        output.AcceptOnlyFromAmong(CommonOptions.Table, CommonOptions.Json);
        return output;
    }

    private static Argument<string[]> Pods()
    {
        var names = new Argument<string[]>("POD") { Description = "Names, or the beginnings of ids", Arity = ArgumentArity.OneOrMore };
        names.CompletionSources.Add(Suggestions.Pods);
        return names;
    }
}
