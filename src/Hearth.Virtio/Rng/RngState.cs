using Hearth.Virtio.RateLimiting;

namespace Hearth.Virtio.Rng;

/// <summary>What a snapshot keeps of the entropy device besides its queue.</summary>
public sealed record RngState
{
    public RateLimiterState? RateLimiter { get; init; }
}
