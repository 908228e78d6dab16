namespace Hearth.Ttrpc;

/// <summary>
/// A call that did not end well. On the client: what the server answered, or <see cref="StatusCode.Unavailable"/> for a
/// connection that is gone. Thrown by a handler, it is the answer the client gets.
/// </summary>
public sealed class TtrpcException : Exception
{
    public TtrpcException(StatusCode code, string message, Exception? cause = null)
        : base(message, cause)
    {
        Code = code;
    }

    public StatusCode Code { get; }
}
