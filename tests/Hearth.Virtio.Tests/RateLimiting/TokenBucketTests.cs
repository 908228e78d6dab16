using CsCheck;
using Hearth.Virtio.RateLimiting;

namespace Hearth.Virtio.Tests.RateLimiting;

public class TokenBucketTests
{
    private const long NsPerMs = 1_000_000;

    [Fact]
    public void A_full_bucket_gives_its_size_and_then_makes_wait_for_the_rate()
    {
        var bucket = new TokenBucket(new TokenBucketConfig(Size: 100, OneTimeBurst: 0, RefillTimeMs: 1000), nowNs: 0);
        Assert.True(bucket.CanTake(100, 0, out _));
        bucket.Take(100);
        Assert.False(bucket.CanTake(1, 0, out long wait));
        Assert.Equal(10 * NsPerMs, wait);
        Assert.False(bucket.CanTake(1, wait - 1, out _));
        Assert.True(bucket.CanTake(1, wait, out _));
    }

    [Fact]
    public void The_burst_is_there_once()
    {
        var bucket = new TokenBucket(new TokenBucketConfig(Size: 10, OneTimeBurst: 50, RefillTimeMs: 10), nowNs: 0);
        Assert.True(bucket.CanTake(60, 0, out _));
        bucket.Take(60);
        Assert.False(bucket.CanTake(1, 0, out _));
        Assert.True(bucket.CanTake(10, 10 * NsPerMs, out _));
        bucket.Take(10);
        Assert.False(bucket.CanTake(10, 19 * NsPerMs, out _));
    }

    [Fact]
    public void A_request_larger_than_the_bucket_passes_when_it_is_full_and_is_paid_off()
    {
        var bucket = new TokenBucket(new TokenBucketConfig(Size: 10, OneTimeBurst: 0, RefillTimeMs: 10), nowNs: 0);
        Assert.True(bucket.CanTake(35, 0, out _));
        bucket.Take(35);
        Assert.False(bucket.CanTake(1, 0, out long wait));
        Assert.Equal(26 * NsPerMs, wait);
    }

    [Theory]
    [InlineData(0, 100)]
    [InlineData(100, 0)]
    public void A_size_or_time_of_zero_means_no_limit(ulong size, ulong refillMs)
    {
        Assert.Null(TokenBucket.Create(new TokenBucketConfig(size, 0, refillMs), 0));
    }

    [Fact]
    public void No_values_overflow()
    {
        var bucket = new TokenBucket(new TokenBucketConfig(ulong.MaxValue, ulong.MaxValue, ulong.MaxValue), nowNs: 0);
        for (long now = 0; now < long.MaxValue / 2; now += long.MaxValue / 8)
        {
            if (bucket.CanTake(ulong.MaxValue, now, out long wait))
            {
                bucket.Take(ulong.MaxValue);
            }

            Assert.True(wait >= 0);
        }

        bucket.Restore(new TokenBucketState(bucket.Config, long.MinValue, long.MinValue));
        Assert.False(bucket.CanTake(1, long.MaxValue / 2, out long longest));
        Assert.True(longest > 0);
    }

    [Fact]
    public void Over_any_time_no_more_passes_than_the_configuration_says_and_no_less_if_asked_for_steadily()
    {
        Gen.Select(Gen.ULong[1, 5000], Gen.ULong[0, 5000], Gen.ULong[1, 2000], Gen.ULong[1, 1000].Array[1, 60]).Sample(
            (size, burst, refillMs, requests) =>
            {
                var bucket = new TokenBucket(new TokenBucketConfig(size, burst, refillMs), nowNs: 0);
                long now = 0;
                ulong passed = 0;
                ulong last = 0;
                foreach (ulong tokens in requests)
                {
                    if (!bucket.CanTake(tokens, now, out long wait))
                    {
                        // The wait is neither too short nor longer than a nanosecond too long.
                        Assert.False(bucket.CanTake(tokens, now + wait - 2, out _));
                        now += wait;
                        Assert.True(bucket.CanTake(tokens, now, out _));
                    }

                    bucket.Take(tokens);
                    passed += tokens;
                    last = tokens;
                }

                // Everything but the last request, which may go into debt, fits what had flowed in by then.
                double allowed = size + burst + (now * (double)size / (refillMs * NsPerMs)) + 1;
                Assert.True(passed - last <= allowed, $"{passed} passed, {allowed} allowed");
                Assert.True(passed >= allowed - size - burst - 2 || now == 0, $"{passed} passed in {now} ns");
            },
            iter: 2000);
    }
}
