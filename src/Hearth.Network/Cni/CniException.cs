using Hearth.Linux;

namespace Hearth.Network.Cni;

/// <summary>What is wrong with a network's configuration, or what a plugin answered.</summary>
public sealed class CniException : HearthException
{
    /// <param name="message">One sentence.</param>
    /// <param name="code">The plugin's own number, CNI specification "Error"; 0 where no plugin spoke.</param>
    /// <param name="cause">What failed.</param>
    public CniException(string message, int code = 0, Exception? cause = null)
        : base(message, cause)
    {
        Code = code;
    }

    /// <summary>11: try again later; 50: the plugin cannot serve; 51: it can serve what there is, and nothing new.</summary>
    public int Code { get; }
}
