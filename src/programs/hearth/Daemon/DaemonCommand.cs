using System.CommandLine;
using Hearth.Programs.Hearth.Shell;

namespace Hearth.Programs.Hearth.Daemon;

/// <summary>Commands that ask the daemon.</summary>
internal static class DaemonCommand
{
    /// <summary>Connects, then runs.</summary>
    public static void SetDaemonAction(this Command command, Func<ParseResult, DaemonClient, CancellationToken, Task<int>> action) =>
        command.SetAction(async (result, cancellation) =>
        {
            using DaemonClient daemon = await DaemonClient.ConnectAsync(Settings.Of(result), cancellation);
            return await action(result, daemon, cancellation);
        });

    /// <summary>Likewise, for what either succeeds or throws.</summary>
    public static void SetDaemonAction(this Command command, Func<ParseResult, DaemonClient, CancellationToken, Task> action) =>
        command.SetDaemonAction(async (result, daemon, cancellation) =>
        {
            await action(result, daemon, cancellation);
            return 0;
        });
}
