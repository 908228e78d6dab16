using Grpc.Core;
using Hearth.Programs.Hearth.Daemon;

namespace Hearth.Programs.Hearth.Containers;

/// <summary>Exit statuses as docker gives them: the container's own, 126 and 127 for a command that cannot be started, 125 for the rest.</summary>
internal static class ExitStatus
{
    public const int CannotRun = 126;
    public const int NotFound = 127;

    /// <summary>What a failed start means.</summary>
    public static CommandLineException OfStart(RpcException failure, string socket)
    {
        string message = DaemonClient.Explain(failure, socket);
        return new CommandLineException(message, OfMessage(message), failure);
    }

    /// <summary>CRI has no codes for these: the kernel's words for why a program was not started are all there is.</summary>
    public static int OfMessage(string message) => message switch
    {
        _ when Says(message, "no such file or directory") || Says(message, "executable file not found") || Says(message, "command not found") => NotFound,
        _ when Says(message, "permission denied") || Says(message, "exec format error") || Says(message, "is a directory") => CannotRun,
        _ => CommandLineException.RuntimeFailed,
    };

    private static bool Says(string message, string words) => message.Contains(words, StringComparison.OrdinalIgnoreCase);
}
