namespace Hearth.Linux;

/// <summary>
/// The base of every failure Hearth reports to its user: one sentence that names what was asked, what failed
/// and what to do. Bugs are not this: they are <see cref="System.Diagnostics.UnreachableException"/> and asserts.
/// </summary>
public class HearthException : Exception
{
    public HearthException(string message)
        : base(message)
    {
    }

    public HearthException(string message, Exception? cause)
        : base(message, cause)
    {
    }
}
