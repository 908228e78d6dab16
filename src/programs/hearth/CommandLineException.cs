using Hearth.Linux;

namespace Hearth.Programs.Hearth;

/// <summary>What a person is told in one sentence, and the status that the program then ends with.</summary>
internal sealed class CommandLineException : HearthException
{
    /// <summary>As docker has it: the runtime's own failure, as against the container's.</summary>
    public const int RuntimeFailed = 125;

    public CommandLineException(string message, int exitStatus = 1, Exception? cause = null)
        : base(message, cause) =>
        ExitStatus = exitStatus;

    public int ExitStatus { get; }
}
