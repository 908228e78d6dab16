using System.CommandLine;
using Grpc.Core;
using Hearth.Cri.Protocol;
using Hearth.Programs.Hearth.Daemon;
using Hearth.Programs.Hearth.Names;
using Hearth.Programs.Hearth.Output;
using Hearth.Programs.Hearth.Shell;

namespace Hearth.Programs.Hearth.Containers;

/// <summary><c>hearth ps|pods|inspect</c>.</summary>
internal static class ListCommands
{
    public static IEnumerable<Command> Create() => [Containers(), Pods(), Inspect()];

    private static Command Containers()
    {
        var all = new Option<bool>("--all", "-a") { Description = "Those too that do not run" };
        Option<bool> quiet = CommonOptions.Quiet("ids");
        Option<string> format = CommonOptions.Format();
        var command = new Command("ps", "Lists containers") { all, quiet, format };
        command.SetDaemonAction(async (result, daemon, cancellation) =>
        {
            var filter = new ContainerFilter();
            if (!result.GetValue(all))
            {
                filter.State = new ContainerStateValue { State = ContainerState.ContainerRunning };
            }

            ListContainersResponse containers = await daemon.Runtime.ListContainersAsync(new ListContainersRequest { Filter = filter }, cancellationToken: cancellation);
            if (result.GetValue(quiet))
            {
                PrintIds(containers.Containers.Select(container => container.Id));
            }
            else if (result.GetValue(format) == CommonOptions.Json)
            {
                Console.WriteLine(Json.Of(containers));
            }
            else
            {
                var table = new Table(ContainerRow.Heading);
                foreach (ContainerRow row in await RowsAsync(daemon, containers.Containers, cancellation))
                {
                    table.Add(row.Cells(DateTimeOffset.UtcNow));
                }

                table.Write(Console.Out, Palette.Output);
            }
        });
        return command;
    }

    private static Command Pods()
    {
        Option<bool> quiet = CommonOptions.Quiet("ids");
        Option<string> format = CommonOptions.Format();
        var command = new Command("pods", "Lists pods: one microVM each") { quiet, format };
        command.SetDaemonAction(async (result, daemon, cancellation) =>
        {
            ListPodSandboxResponse pods = await daemon.Runtime.ListPodSandboxAsync(new ListPodSandboxRequest(), cancellationToken: cancellation);
            if (result.GetValue(quiet))
            {
                PrintIds(pods.Items.Select(pod => pod.Id));
            }
            else if (result.GetValue(format) == CommonOptions.Json)
            {
                Console.WriteLine(Json.Of(pods));
            }
            else
            {
                var table = new Table("POD ID", "NAME", "NAMESPACE", "STATE", "CREATED", "IP", "HANDLER");
                foreach (PodSandbox pod in pods.Items.OrderByDescending(pod => pod.CreatedAt))
                {
                    bool ready = pod.State == PodSandboxState.SandboxReady;
                    table.Add(
                        Humane.ShortId(pod.Id),
                        pod.Metadata?.Name ?? "",
                        pod.Metadata?.Namespace ?? "",
                        new Table.Cell(ready ? "Ready" : "NotReady", ready ? static (palette, text) => palette.Green(text) : static (palette, text) => palette.Dim(text)),
                        Humane.Ago(pod.CreatedAt, DateTimeOffset.UtcNow),
                        await AddressAsync(daemon, pod.Id, cancellation),
                        pod.RuntimeHandler);
                }

                table.Write(Console.Out, Palette.Output);
            }
        });
        return command;
    }

    private static Command Inspect()
    {
        var names = new Argument<string[]>("NAME") { Description = "Containers or pods: names, or the beginnings of ids", Arity = ArgumentArity.OneOrMore };
        names.CompletionSources.Add(Suggestions.Containers);
        names.CompletionSources.Add(Suggestions.Pods);
        var command = new Command("inspect", "Says all there is to know of containers and pods, as JSON") { names };
        command.SetDaemonAction(async (result, daemon, cancellation) =>
        {
            ListPodSandboxResponse pods = await daemon.Runtime.ListPodSandboxAsync(new ListPodSandboxRequest(), cancellationToken: cancellation);
            ListContainersResponse containers = await daemon.Runtime.ListContainersAsync(new ListContainersRequest(), cancellationToken: cancellation);
            Dictionary<string, PodSandbox> byId = pods.Items.ToDictionary(pod => pod.Id);
            // A container's name comes first: a pod that hearth run made has the same.
            List<Named<object>> known = [.. containers.Containers.Select(container => Lookup.Name(container, byId.GetValueOrDefault(container.PodSandboxId))).Select(one => new Named<object>(one.Id, one.Names, one.Value))];
            HashSet<string> taken = [.. known.SelectMany(one => one.Names)];
            known.AddRange(pods.Items.Select(Lookup.Name).Select(one => new Named<object>(one.Id, [.. one.Names.Where(name => !taken.Contains(name))], one.Value)));
            var found = new List<string>();
            foreach (string name in result.GetRequiredValue(names))
            {
                found.Add(Lookup.Find(name, known, "container or pod", "hearth ps -a; hearth pods") switch
                {
                    Container container => await StatusJsonAsync(daemon, container, cancellation),
                    PodSandbox pod => await StatusJsonAsync(daemon, pod, cancellation),
                    _ => throw new System.Diagnostics.UnreachableException(),
                });
            }

            Console.WriteLine(Json.Write(json =>
            {
                json.WriteStartArray();
                found.ForEach(one => json.WriteRawValue(one));
                json.WriteEndArray();
            }));
        });
        return command;
    }

    public static async Task<string> StatusJsonAsync(DaemonClient daemon, Container container, CancellationToken cancellation)
    {
        ContainerStatusResponse answer = await daemon.Runtime.ContainerStatusAsync(new ContainerStatusRequest { ContainerId = container.Id, Verbose = true }, cancellationToken: cancellation);
        return Document(answer.Status, answer.Info);
    }

    public static async Task<string> StatusJsonAsync(DaemonClient daemon, PodSandbox pod, CancellationToken cancellation)
    {
        PodSandboxStatusResponse answer = await daemon.Runtime.PodSandboxStatusAsync(new PodSandboxStatusRequest { PodSandboxId = pod.Id, Verbose = true }, cancellationToken: cancellation);
        return Document(answer.Status, answer.Info);
    }

    public static void PrintIds(IEnumerable<string> ids)
    {
        foreach (string id in ids)
        {
            Console.WriteLine(id);
        }
    }

    /// <summary>Containers with their statuses and pods, the youngest first.</summary>
    public static async Task<IReadOnlyList<ContainerRow>> RowsAsync(DaemonClient daemon, IEnumerable<Container> containers, CancellationToken cancellation)
    {
        ListPodSandboxResponse pods = await daemon.Runtime.ListPodSandboxAsync(new ListPodSandboxRequest(), cancellationToken: cancellation);
        Dictionary<string, PodSandbox> byId = pods.Items.ToDictionary(pod => pod.Id);
        ContainerRow[] rows = await Task.WhenAll(containers.Select(async container =>
            new ContainerRow(container, await TryStatusAsync(daemon, container.Id, cancellation), byId.GetValueOrDefault(container.PodSandboxId))));
        return [.. rows.OrderByDescending(row => row.Container.CreatedAt)];
    }

    public static async Task<ContainerStatus?> TryStatusAsync(DaemonClient daemon, string id, CancellationToken cancellation)
    {
        try
        {
            return (await daemon.Runtime.ContainerStatusAsync(new ContainerStatusRequest { ContainerId = id }, cancellationToken: cancellation)).Status;
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.NotFound)
        {
            return null;
        }
    }

    private static async Task<string> AddressAsync(DaemonClient daemon, string podId, CancellationToken cancellation)
    {
        try
        {
            PodSandboxStatusResponse answer = await daemon.Runtime.PodSandboxStatusAsync(new PodSandboxStatusRequest { PodSandboxId = podId }, cancellationToken: cancellation);
            return string.Join(",", new[] { answer.Status.Network?.Ip ?? "" }.Concat(answer.Status.Network?.AdditionalIps.Select(address => address.Ip) ?? []).Where(address => address.Length > 0));
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.NotFound)
        {
            return "";
        }
    }

    private static string Document(Google.Protobuf.IMessage status, IEnumerable<KeyValuePair<string, string>> info) => Json.Write(json =>
    {
        json.WriteStartObject();
        Json.WriteMessage(json, "status", status);
        Json.WriteInfo(json, "info", info);
        json.WriteEndObject();
    });
}
