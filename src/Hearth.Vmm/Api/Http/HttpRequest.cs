namespace Hearth.Vmm.Api.Http;

/// <summary>One whole request. <paramref name="Method"/> is as it was sent; <paramref name="Path"/> is its path, without scheme, host and query.</summary>
public sealed record HttpRequest(string Method, string Path, byte[] Body, bool KeepAlive);

/// <summary>A request that HTTP itself forbids; <paramref name="message"/> becomes the <c>error</c> of a 400.</summary>
public sealed class HttpFaultException(string message) : Exception(message)
{
    /// <summary>Whether the next request can still be found in the stream.</summary>
    public bool IsRecoverable { get; init; }
}
