using System.CommandLine;
using Hearth.Cri.Protocol;
using Hearth.Programs.Hearth.Daemon;
using Hearth.Programs.Hearth.Names;
using Hearth.Programs.Hearth.Shell;
using Hearth.Programs.Hearth.Streaming;

namespace Hearth.Programs.Hearth.Containers;

/// <summary><c>hearth exec</c> and <c>hearth attach</c>.</summary>
internal static class ExecCommand
{
    public static IEnumerable<Command> Create() => [Exec(), Attach()];

    private static Command Exec()
    {
        Argument<string> name = CommonOptions.Container();
        var words = new Argument<string[]>("COMMAND") { Description = "The program and its arguments", Arity = ArgumentArity.OneOrMore };
        var interactive = new Option<bool>("--interactive", "-i") { Description = "Gives it this input" };
        var tty = new Option<bool>("--tty", "-t") { Description = "Gives it a terminal" };
        var environment = new Option<string[]>("--env", "-e") { Description = "A variable, or the name of one of here (repeatable)", HelpName = "NAME=VALUE" };
        var folder = new Option<string?>("--workdir", "-w") { Description = "Where it starts", HelpName = "FOLDER" };
        var user = new Option<string?>("--user", "-u") { Description = "Who it runs as", HelpName = "USER[:GROUP]" };
        var command = new Command("exec", "Runs a further command in a running container") { name, words, interactive, tty, environment, folder, user };
        command.SetDaemonAction(async (result, daemon, cancellation) =>
        {
            Container container = await Lookup.ContainerAsync(daemon, result.GetRequiredValue(name), cancellation);
            var request = new ExecRequest
            {
                ContainerId = container.Id,
                Stdin = result.GetValue(interactive),
                Stdout = true,
                Stderr = !result.GetValue(tty),
                Tty = result.GetValue(tty),
            };
            request.Cmd.Add(result.GetRequiredValue(words));
            ExecProcessRequest? different = Different(request, result.GetValue(environment) ?? [], result.GetValue(folder), result.GetValue(user));
            return await RunAsync(daemon, request, different, cancellation);
        });
        return command;
    }

    private static Command Attach()
    {
        Argument<string> name = CommonOptions.Container();
        var noInput = new Option<bool>("--no-stdin") { Description = "Looks on only" };
        var command = new Command("attach", "Joins a running container's first process; Ctrl-P Ctrl-Q leaves it running") { name, noInput };
        command.SetDaemonAction(async (result, daemon, cancellation) =>
        {
            Container container = await Lookup.ContainerAsync(daemon, result.GetRequiredValue(name), cancellation);
            ContainerConfigFacts facts = await ContainerConfigFacts.OfAsync(daemon, container.Id, cancellation);
            bool input = facts.Stdin && !result.GetValue(noInput);
            AttachResponse where = await daemon.Runtime.AttachAsync(
                new AttachRequest { ContainerId = container.Id, Stdin = input, Stdout = true, Stderr = !facts.Tty, Tty = facts.Tty }, cancellationToken: cancellation);
            Task<ContainerStatus?> end = ContainerEnd.WaitAsync(daemon, container.Id, cancellation);
            (CommandEnd how, CommandResult? said) = await CarryAsync(where.Url, input, facts.Tty, cancellation);
            if (how == CommandEnd.Detached)
            {
                return 0;
            }

            if (said is { Failure: not null } || how == CommandEnd.Lost)
            {
                throw RemoteCommand.Failure(how, said);
            }

            return (await end)?.ExitCode ?? 0;
        });
        return command;
    }

    /// <summary>Runs a command through hearthd's streaming server, with this process's streams.</summary>
    /// <returns>Its exit status.</returns>
    public static async Task<int> RunAsync(DaemonClient daemon, ExecRequest request, ExecProcessRequest? different, CancellationToken cancellation)
    {
        ExecResponse where = different is null
            ? await daemon.Runtime.ExecAsync(request, cancellationToken: cancellation)
            : await daemon.Person.ExecProcessAsync(different, cancellationToken: cancellation);
        (CommandEnd how, CommandResult? said) = await CarryAsync(where.Url, request.Stdin, request.Tty, cancellation);
        return how switch
        {
            CommandEnd.Detached => 0,
            _ when said is { Failure: null } result => result.ExitStatus,
            _ => throw Failure(how, said),
        };
    }

    /// <summary>CRI's exec has no environment, folder or user of its own; hearthd's own call has.</summary>
    internal static ExecProcessRequest? Different(ExecRequest request, IReadOnlyCollection<string> environment, string? folder, string? user)
    {
        if (environment.Count == 0 && folder is null && user is null)
        {
            return null;
        }

        var different = new ExecProcessRequest { Exec = request, WorkingDirectory = folder ?? "", User = user ?? "" };
        different.Environment.Add(environment.Select(Shorthand.Variable).OfType<(string Name, string Value)>().Select(variable => $"{variable.Name}={variable.Value}"));
        return different;
    }

    private static async Task<(CommandEnd How, CommandResult? Said)> CarryAsync(string url, bool input, bool tty, CancellationToken cancellation)
    {
        await using RemoteCommand remote = await RemoteCommand.OpenAsync(url, cancellation);
        using LocalTerminal? terminal = tty ? LocalTerminal.Enter() : null;
        return await remote.RunAsync(new CommandStreams
        {
            Input = input ? Console.OpenStandardInput() : null,
            Output = Console.OpenStandardOutput(),
            Errors = Console.OpenStandardError(),
            DetachKeys = tty,
            Terminal = terminal,
        }, cancellation);
    }

    private static CommandLineException Failure(CommandEnd how, CommandResult? said)
    {
        CommandLineException failure = RemoteCommand.Failure(how, said);
        return new CommandLineException(failure.Message, ExitStatus.OfMessage(failure.Message), failure);
    }
}
