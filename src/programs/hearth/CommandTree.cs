using System.CommandLine;
using Hearth.Programs.Hearth.Containers;
using Hearth.Programs.Hearth.Cri;
using Hearth.Programs.Hearth.Doctor;
using Hearth.Programs.Hearth.Images;
using Hearth.Programs.Hearth.Logs;
using Hearth.Programs.Hearth.Shell;
using Hearth.Programs.Hearth.Streaming;

namespace Hearth.Programs.Hearth;

/// <summary>All commands.</summary>
internal static class CommandTree
{
    public static RootCommand Create()
    {
        var root = new RootCommand("Hearth: one microVM runtime for every container manager");
        root.Options.Add(CommonOptions.Config);
        root.Options.Add(CommonOptions.Host);
        Command[] commands =
        [
            RunCommand.Create(),
            .. ListCommands.Create(),
            .. ExecCommand.Create(),
            LogsCommand.Create(),
            .. LifeCommands.Create(),
            .. StatsCommands.Create(),
            EventsCommand.Create(),
            PortForwardCommand.Create(),
            .. ImageCommands.Create(),
            DoctorCommand.Create(),
            ConfigCommands.Create(),
            ProgramVersion.Create(),
            CompletionCommand.Create(),
            CriCommands.Create(),
            KernelCommands.Create(),
            RootFilesystemCommands.Create(),
            InitrdCommands.Create(),
            SeccompCommands.Create(),
        ];
        foreach (Command command in commands)
        {
            root.Subcommands.Add(command);
        }

        return root;
    }

    /// <summary>What a person typed, with the words that belong to a container's command told apart.</summary>
    public static ParseResult Parse(RootCommand root, IReadOnlyList<string> arguments) =>
        // No response files: @words belong to whoever is run.
        root.Parse([.. ArgumentOrder.Separate(root, static command => command.Name is "run" or "exec", arguments)], new ParserConfiguration { ResponseFileTokenReplacer = null });
}
