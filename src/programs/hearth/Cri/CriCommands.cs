using System.CommandLine;
using Hearth.Programs.Hearth.Containers;
using Hearth.Programs.Hearth.Logs;

namespace Hearth.Programs.Hearth.Cri;

/// <summary><c>hearth cri …</c>: CRI call by call, in crictl's words, for machines without crictl.</summary>
internal static class CriCommands
{
    public static Command Create()
    {
        var cri = new Command("cri", "CRI call by call, in crictl's words");
        foreach (Command command in CriPodCommands.Create().Concat(CriContainerCommands.Create()).Concat(CriImageCommands.Create()))
        {
            cri.Subcommands.Add(command);
        }

        cri.Subcommands.Add(LogsCommand.Create());
        foreach (Command command in ExecCommand.Create())
        {
            cri.Subcommands.Add(command);
        }

        return cri;
    }
}
