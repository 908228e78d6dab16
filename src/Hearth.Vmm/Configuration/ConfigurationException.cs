using Hearth.Linux;

namespace Hearth.Vmm.Configuration;

/// <summary>The user's configuration cannot be used; the message is the <c>fault_message</c> and says why.</summary>
public sealed class ConfigurationException : HearthException
{
    public ConfigurationException(string message)
        : base(message)
    {
    }
}
