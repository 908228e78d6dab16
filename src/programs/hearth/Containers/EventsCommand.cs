using System.CommandLine;
using System.Globalization;
using Grpc.Core;
using Hearth.Cri.Protocol;
using Hearth.Programs.Hearth.Daemon;
using Hearth.Programs.Hearth.Output;
using Hearth.Programs.Hearth.Shell;

namespace Hearth.Programs.Hearth.Containers;

/// <summary><c>hearth events</c>.</summary>
internal static class EventsCommand
{
    public static Command Create()
    {
        Option<string> format = CommonOptions.Format();
        var command = new Command("events", "Tells what happens to containers, as it happens") { format };
        command.SetDaemonAction(async (result, daemon, cancellation) =>
        {
            using AsyncServerStreamingCall<ContainerEventResponse> events = daemon.Runtime.GetContainerEvents(new GetEventsRequest(), cancellationToken: cancellation);
            while (await events.ResponseStream.MoveNext(cancellation))
            {
                ContainerEventResponse one = events.ResponseStream.Current;
                Console.WriteLine(result.GetValue(format) == CommonOptions.Json ? Json.Line(one) : Text(one));
            }

            throw new CommandLineException("hearthd has ended, and with it its events.");
        });
        return command;
    }

    internal static string Text(ContainerEventResponse one)
    {
        string when = (Humane.Time(one.CreatedAt) ?? DateTimeOffset.UnixEpoch).ToLocalTime().ToString("yyyy-MM-dd HH:mm:ss.fff", CultureInfo.InvariantCulture);
        string what = one.ContainerEventType switch
        {
            ContainerEventType.ContainerCreatedEvent => "created",
            ContainerEventType.ContainerStartedEvent => "started",
            ContainerEventType.ContainerStoppedEvent => "stopped",
            ContainerEventType.ContainerDeletedEvent => "deleted",
            _ => one.ContainerEventType.ToString(),
        };
        ContainerStatus? status = one.ContainersStatuses.FirstOrDefault(status => status.Id == one.ContainerId);
        string kind = one.ContainerId == one.PodSandboxStatus?.Id ? "pod" : "container";
        string name = kind == "pod" ? one.PodSandboxStatus?.Metadata?.Name ?? "" : $"{one.PodSandboxStatus?.Metadata?.Name}/{status?.Metadata?.Name}";
        string end = what == "stopped" && status is { State: ContainerState.ContainerExited } ? $" (exit status {status.ExitCode})" : "";
        return Humane.Printable($"{when} {kind} {what} {Humane.ShortId(one.ContainerId)} {name.Trim('/')}{end}");
    }
}
