namespace Hearth.Virtio.RateLimiting;

/// <summary>
/// Tokens that come at a steady rate up to a limit. A request larger than the whole bucket passes when the bucket is
/// full, and leaves a debt that is paid before the next one.
/// <para>Times are nanoseconds of a monotonic clock that the caller reads. Thread: the device's Gate.</para>
/// </summary>
public sealed class TokenBucket
{
    private const long NsPerMs = 1_000_000;

    // Anything longer is for ever, and keeps the sums below far from overflow.
    private const ulong MaxRefillMs = 1UL << 40;

    private readonly long _size;
    private readonly long _refillNs;
    private long _budget;
    private long _burst;
    private long _updatedNs;

    // Time that has passed and made no whole token yet, in units of 1/size ns: nothing is ever rounded away.
    private UInt128 _remainder;

    public TokenBucket(TokenBucketConfig config, long nowNs)
    {
        Config = config;
        _size = (long)Math.Min(config.Size, long.MaxValue);
        _refillNs = (long)Math.Min(config.RefillTimeMs, MaxRefillMs) * NsPerMs;
        _burst = (long)Math.Min(config.OneTimeBurst, long.MaxValue);
        _budget = _size;
        _updatedNs = nowNs;
    }

    public TokenBucketConfig Config { get; }

    /// <summary>Makes a bucket, or null where the configuration means no limit.</summary>
    public static TokenBucket? Create(TokenBucketConfig? config, long nowNs) =>
        config is null || config.Size == 0 || config.RefillTimeMs == 0 ? null : new TokenBucket(config, nowNs);

    /// <summary>Whether <paramref name="tokens"/> may be taken now; if not, how long to wait, in nanoseconds.</summary>
    public bool CanTake(ulong tokens, long nowNs, out long waitNs)
    {
        Refill(nowNs);
        ulong afterBurst = tokens - Math.Min(tokens, (ulong)_burst);
        long needed = (long)Math.Min(afterBurst, (ulong)_size);
        if (_budget >= needed)
        {
            waitNs = 0;
            return true;
        }

        // Rounded up, so that the tokens are really there when the wait is over.
        UInt128 missing = (UInt128)((Int128)needed - _budget);
        UInt128 wait = ((missing * (ulong)_refillNs) - _remainder + (ulong)_size - 1) / (ulong)_size;
        waitNs = (long)UInt128.Min(wait, long.MaxValue);
        return false;
    }

    /// <summary>Takes what <see cref="CanTake"/> allowed.</summary>
    public void Take(ulong tokens)
    {
        long fromBurst = (long)Math.Min(tokens, (ulong)_burst);
        _burst -= fromBurst;
        Int128 budget = (Int128)_budget - (Int128)(tokens - (ulong)fromBurst);
        _budget = (long)Int128.Max(budget, -long.MaxValue);
    }

    public TokenBucketState Save(long nowNs)
    {
        Refill(nowNs);
        return new TokenBucketState(Config, _budget, _burst);
    }

    /// <summary>Takes over a saved level, cut to what this bucket can hold.</summary>
    public void Restore(TokenBucketState state)
    {
        _budget = Math.Min(state.Budget, _size);
        _burst = Math.Clamp(state.BurstLeft, 0, (long)Math.Min(Config.OneTimeBurst, long.MaxValue));
    }

    private void Refill(long nowNs)
    {
        long elapsed = nowNs - _updatedNs;
        if (elapsed <= 0)
        {
            return;
        }

        _updatedNs = nowNs;
        UInt128 progress = _remainder + ((UInt128)(ulong)elapsed * (ulong)_size);
        UInt128 tokens = progress / (ulong)_refillNs;
        UInt128 room = (UInt128)((Int128)_size - _budget);
        if (tokens >= room)
        {
            _budget = _size;
            _remainder = 0;
        }
        else
        {
            _budget = (long)((Int128)_budget + (Int128)tokens);
            _remainder = progress - (tokens * (ulong)_refillNs);
        }
    }
}
