using Hearth.Linux;

namespace Hearth.Programs.Oci;

/// <summary>A command that cannot be done: one sentence for whoever called the runtime.</summary>
internal sealed class OciException : HearthException
{
    public OciException(string message, Exception? cause = null)
        : base(message, cause)
    {
    }
}
