namespace Hearth.Ttrpc;

/// <summary>What a handler knows about its call besides the message.</summary>
/// <param name="Metadata">What the client sent along, in its order; a key may come twice.</param>
/// <param name="Cancellation">Ends with the client's time limit and with the connection.</param>
public sealed record CallContext(IReadOnlyList<KeyValuePair<string, string>> Metadata, CancellationToken Cancellation)
{
    /// <summary>Run once when the answer has been sent, or cannot be. Must not throw or wait.</summary>
    public Action? Answered { get; set; }
}
