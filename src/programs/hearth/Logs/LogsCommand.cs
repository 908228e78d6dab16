using System.CommandLine;
using System.Globalization;
using Hearth.Cri.Protocol;
using Hearth.Programs.Hearth.Containers;
using Hearth.Programs.Hearth.Daemon;
using Hearth.Programs.Hearth.Names;
using Hearth.Programs.Hearth.Shell;

namespace Hearth.Programs.Hearth.Logs;

/// <summary><c>hearth logs</c>: reads the log's file, which is on this machine.</summary>
internal static class LogsCommand
{
    public static Command Create()
    {
        Argument<string> name = CommonOptions.Container();
        var follow = new Option<bool>("--follow", "-f") { Description = "Goes on until the container ends" };
        var tail = new Option<string>("--tail", "-n") { Description = "The last lines only", HelpName = "N|all", DefaultValueFactory = _ => "all" };
        var since = new Option<string?>("--since") { Description = "Nothing from before: 10m ago, or a date", HelpName = "TIME" };
        var timestamps = new Option<bool>("--timestamps", "-t") { Description = "Each line's time before it" };
        var command = new Command("logs", "Shows what a container has said") { name, follow, tail, since, timestamps };
        command.SetDaemonAction(async (result, daemon, cancellation) =>
        {
            Container container = await Lookup.ContainerAsync(daemon, result.GetRequiredValue(name), cancellation);
            ContainerStatusResponse answer = await daemon.Runtime.ContainerStatusAsync(new ContainerStatusRequest { ContainerId = container.Id }, cancellationToken: cancellation);
            if (answer.Status.LogPath.Length == 0)
            {
                throw new CommandLineException($"{container.Metadata.Name} keeps no log: it, or its pod, was made without a path for one.");
            }

            var reading = new LogReading
            {
                Tail = Tail(result.GetRequiredValue(tail)),
                Since = result.GetValue(since) is { } text ? Moment.Parse(text, DateTimeOffset.UtcNow) : null,
                Timestamps = result.GetValue(timestamps),
                Until = result.GetValue(follow) ? ContainerEnd.WaitAsync(daemon, container.Id, cancellation) : null,
            };
            using Stream output = Console.OpenStandardOutput();
            using Stream errors = Console.OpenStandardError();
            await LogReader.ReadAsync(answer.Status.LogPath, reading, output, errors, cancellation);
        });
        return command;
    }

    private static long? Tail(string text) => text switch
    {
        "all" or "-1" => null,
        _ when long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long lines) => lines,
        _ => throw new CommandLineException($"\"{text}\" is no number of lines: write --tail 100, or all."),
    };
}
