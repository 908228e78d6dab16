using System.Security.Cryptography;

namespace Hearth.Programs.Daemon.Streaming;

/// <summary>
/// What the URLs of exec, attach and port-forward hold in place of a login: 128 random bits that stand for one request, once,
/// for a minute. Thread: any.
/// </summary>
internal sealed class StreamTokens(TimeProvider time)
{
    public static readonly TimeSpan Lifetime = TimeSpan.FromSeconds(60);

    /// <summary>Requests that wait for their client at a time.</summary>
    public const int MaxWaiting = 1000;

    private const int TokenBytes = 16;

    // Guards both; _order has the oldest first, and tokens that are used up.
    private readonly Lock _lock = new();
    private readonly Dictionary<string, (StreamingRequest Request, long Issued)> _requests = new(StringComparer.Ordinal);
    private readonly Queue<string> _order = new();

    /// <returns>Null if too many wait already.</returns>
    public string? Issue(StreamingRequest request)
    {
        string token = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(TokenBytes));
        lock (_lock)
        {
            while (_order.TryPeek(out string? oldest) && (!_requests.TryGetValue(oldest, out var waiting) || IsOver(waiting.Issued)))
            {
                _requests.Remove(oldest);
                _order.Dequeue();
            }

            // Used tokens behind one that waits count too: the queue has a bound of its own.
            if (_order.Count >= MaxWaiting)
            {
                return null;
            }

            _requests.Add(token, (request, time.GetTimestamp()));
            _order.Enqueue(token);
            return token;
        }
    }

    /// <summary>Uses a token up.</summary>
    /// <param name="kind">The URL's; a token for another kind of request is not used up, and no such token.</param>
    /// <param name="token">The token.</param>
    /// <returns>Null if there is no such token, any more.</returns>
    public StreamingRequest? Take(string kind, string token)
    {
        lock (_lock)
        {
            return _requests.TryGetValue(token, out var waiting) && waiting.Request.Kind == kind
                && _requests.Remove(token) && !IsOver(waiting.Issued) ? waiting.Request : null;
        }
    }

    private bool IsOver(long issued) => time.GetElapsedTime(issued) >= Lifetime;
}
