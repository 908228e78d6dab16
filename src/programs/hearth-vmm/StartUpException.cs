using Hearth.Linux;
using Hearth.Vmm;

namespace Hearth.Programs.Vmm;

/// <summary>The monitor cannot start; ends the process with <see cref="Code"/>.</summary>
internal sealed class StartUpException : HearthException
{
    public StartUpException(string message, ExitCode code)
        : base(message)
    {
        Code = code;
    }

    public ExitCode Code { get; }
}
