using System.CommandLine;
using Hearth.Programs.Hearth.Daemon;
using Hearth.Programs.Hearth.Names;
using Hearth.Programs.Hearth.Shell;

namespace Hearth.Programs.Hearth.Containers;

/// <summary><c>hearth run</c> and <c>hearth create</c>: docker's options.</summary>
internal sealed class RunCommand
{
    private readonly Argument<string> _image = CommonOptions.Image();
    private readonly Argument<string[]> _command = new("COMMAND") { Description = "In place of the image's", Arity = ArgumentArity.ZeroOrMore };
    private readonly Option<bool> _interactive = new("--interactive", "-i") { Description = "Gives the container this input" };
    private readonly Option<bool> _tty = new("--tty", "-t") { Description = "Gives it a terminal" };
    private readonly Option<bool> _detach = new("--detach", "-d") { Description = "Leaves it running, and prints its id" };
    private readonly Option<bool> _remove = new("--rm") { Description = "Removes it when it has ended" };
    private readonly Option<string?> _name = new("--name") { Description = "What it is called", HelpName = "NAME" };
    private readonly Option<string[]> _environment = new("--env", "-e") { Description = "A variable, or the name of one of here (repeatable)", HelpName = "NAME=VALUE" };
    private readonly Option<string[]> _volumes = new("--volume", "-v") { Description = "A path of this machine, and where it is in the container (repeatable)", HelpName = "HOST:CONTAINER[:ro]" };
    private readonly Option<string[]> _ports = new("--publish", "-p") { Description = "A port of this machine, and the container's it leads to (repeatable)", HelpName = "[IP:]HOST:CONTAINER[/udp]" };
    private readonly Option<string?> _cpus = new("--cpus") { Description = "CPUs it may use, which sizes its machine", HelpName = "N" };
    private readonly Option<string?> _memory = new("--memory", "-m") { Description = "Memory it may use, which sizes its machine", HelpName = "256m" };
    private readonly Option<string?> _entrypoint = new("--entrypoint") { Description = "In place of the image's", HelpName = "PROGRAM" };
    private readonly Option<string?> _user = new("--user", "-u") { Description = "Who it runs as", HelpName = "USER[:GID]" };
    private readonly Option<string?> _folder = new("--workdir", "-w") { Description = "Where it starts", HelpName = "FOLDER" };
    private readonly Option<string?> _hostname = new("--hostname") { Description = "The pod's; by default its name", HelpName = "NAME" };
    private readonly Option<string[]> _labels = new("--label", "-l") { Description = "A label (repeatable)", HelpName = "NAME=VALUE" };
    private readonly Option<string[]> _added = new("--cap-add") { Description = "A further capability (repeatable)", HelpName = "CAP" };
    private readonly Option<string[]> _dropped = new("--cap-drop") { Description = "One less, or ALL (repeatable)", HelpName = "CAP" };
    private readonly Option<bool> _readOnly = new("--read-only") { Description = "Its root file system cannot be written to" };
    private readonly Option<bool> _privileged = new("--privileged") { Description = "All capabilities and devices: of its machine, never of this one" };
    private readonly Option<string> _handler = new("--handler") { Description = "microvm or oci; by default the configured one", HelpName = "NAME", DefaultValueFactory = _ => "" };
    private readonly Option<PullPolicy> _pull = new("--pull") { Description = "missing, always or never", HelpName = "WHEN", DefaultValueFactory = _ => PullPolicy.Missing };

    private RunCommand()
    {
    }

    public static Command Create()
    {
        var run = new RunCommand();
        var command = new Command("run", "Runs a command in a microVM of its own")
        {
            run._image, run._command, run._interactive, run._tty, run._detach, run._remove, run._name, run._environment, run._volumes, run._ports,
            run._cpus, run._memory, run._entrypoint, run._user, run._folder, run._hostname, run._labels, run._added, run._dropped, run._readOnly,
            run._privileged, run._handler, run._pull,
        };
        command.SetAction(async (result, _) =>
        {
            // Before anything is started: what cannot be meant is said at once.
            RunOptions options = run.Read(result);
            using var signals = new RunSignals();
            using DaemonClient daemon = await DaemonClient.ConnectAsync(Settings.Of(result), signals.Token);
            return await ContainerRun.RunAsync(daemon, options, signals);
        });
        return command;
    }

    /// <summary>What a command line asks for.</summary>
    /// <exception cref="CommandLineException">It contradicts itself.</exception>
    internal static RunOptions Parse(params string[] arguments)
    {
        var run = new RunCommand();
        var command = new Command("run") { TreatUnmatchedTokensAsErrors = true };
        foreach (Option option in run.Options())
        {
            command.Options.Add(option);
        }

        command.Arguments.Add(run._image);
        command.Arguments.Add(run._command);
        var root = new RootCommand();
        root.Subcommands.Add(command);
        return run.Read(root.Parse([.. ArgumentOrder.Separate(root, static _ => true, ["run", .. arguments])]));
    }

    private Option[] Options() =>
    [
        _interactive, _tty, _detach, _remove, _name, _environment, _volumes, _ports, _cpus, _memory, _entrypoint, _user, _folder, _hostname,
        _labels, _added, _dropped, _readOnly, _privileged, _handler, _pull,
    ];

    private RunOptions Read(ParseResult result)
    {
        var options = new RunOptions
        {
            Image = result.GetRequiredValue(_image),
            Command = result.GetValue(_command) ?? [],
            Name = result.GetValue(_name) ?? RandomName.Next(),
            Interactive = result.GetValue(_interactive),
            Tty = result.GetValue(_tty),
            Detach = result.GetValue(_detach),
            Remove = result.GetValue(_remove),
            Environment = result.GetValue(_environment) ?? [],
            Volumes = result.GetValue(_volumes) ?? [],
            Ports = result.GetValue(_ports) ?? [],
            Cpus = result.GetValue(_cpus),
            Memory = result.GetValue(_memory),
            Entrypoint = result.GetValue(_entrypoint),
            User = result.GetValue(_user),
            WorkingDirectory = result.GetValue(_folder),
            Hostname = result.GetValue(_hostname),
            Labels = result.GetValue(_labels) ?? [],
            AddedCapabilities = result.GetValue(_added) ?? [],
            DroppedCapabilities = result.GetValue(_dropped) ?? [],
            ReadOnly = result.GetValue(_readOnly),
            Privileged = result.GetValue(_privileged),
            Handler = result.GetValue(_handler) ?? "",
            Pull = result.GetValue(_pull),
        };
        return options switch
        {
            { Detach: true, Remove: true } => throw new CommandLineException("--rm needs someone who waits for the container's end, and -d leaves. Leave one of them away; hearth rm removes it later."),
            { WorkingDirectory: { } folder } when !folder.StartsWith('/') => throw new CommandLineException($"\"{folder}\" is relative: -w takes an absolute path in the container."),
            _ when !IsName(options.Name) => throw new CommandLineException($"\"{options.Name}\" is no name: letters, digits, '.', '_' and '-' make one, at most 63, and it begins with a letter or digit."),
            _ => options,
        };
    }

    // It becomes part of paths.
    private static bool IsName(string name) =>
        name.Length is > 0 and <= 63 && char.IsAsciiLetterOrDigit(name[0]) && name.All(static c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-');
}
