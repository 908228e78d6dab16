using Hearth.Linux;

namespace Hearth.Virtio.VhostUser;

/// <summary>A back end that is gone, hangs, or does not keep to the protocol.</summary>
public sealed class VhostUserException : HearthException
{
    public VhostUserException(string message)
        : base(message)
    {
    }

    public VhostUserException(string message, Exception cause)
        : base(message, cause)
    {
    }
}
