using Hearth.Testing.Virtio;
using Hearth.Virtio.Block;
using Hearth.Virtio.RateLimiting;
using Hearth.Virtio.Tests.Block;

namespace Hearth.Virtio.Tests.RateLimiting;

public class BlockRateLimitTests
{
    // Long enough that a test sees the drive wait, and an hour for "never within this test".
    private const ulong HourMs = 3_600_000;

    [Fact]
    public void A_drive_out_of_tokens_stops_and_goes_on_when_they_come()
    {
        using var drive = Drive(ops: new TokenBucketConfig(Size: 2, OneTimeBurst: 0, RefillTimeMs: HourMs));
        Send(drive, 5);
        drive.Bench.Kick(0);
        Assert.Equal(2, drive.Driver.UsedIdx);
        // Two at once, and the fifth when its token comes.
        drive.Device.UpdateRateLimiter(new RateLimiterConfig(null, new TokenBucketConfig(2, 0, 40)));
        drive.Bench.PumpUntil(() => drive.Driver.UsedIdx == 5, "the limiter's timer");
        // More often where the host lets the test go on in time.
        Assert.True(drive.Device.Metrics.RateLimiterThrottledEvents.Value >= 1);
        Assert.True(drive.Device.Metrics.RateLimiterEventCount.Value >= 1);
    }

    [Fact]
    public void A_waiting_drive_ignores_the_bell_and_costs_nothing()
    {
        using var drive = Drive(ops: new TokenBucketConfig(1, 0, HourMs));
        Send(drive, 2);
        drive.Bench.Kick(0);
        Assert.Equal(1, drive.Driver.UsedIdx);
        drive.Bench.Kick(0);
        drive.Bench.Kick(0);
        Assert.Equal(1, drive.Driver.UsedIdx);
        Assert.Equal(1, drive.Device.Metrics.RateLimiterThrottledEvents.Value);
        Assert.False(drive.Bench.Loop.RunOnce(0));
    }

    [Fact]
    public void Bandwidth_counts_the_bytes_of_reads_and_writes_and_flushes_are_free_of_it()
    {
        using var drive = Drive(bandwidth: new TokenBucketConfig(1024, 0, HourMs));
        Assert.Equal(0, drive.Request(BlockBench.In, 0, drive.Driver.Writable(512)).Status);
        Assert.Equal(0, drive.Request(BlockBench.Out, 0, drive.Driver.Readable(new byte[512])).Status);
        Assert.Equal(0, drive.Request(BlockBench.Flush, 0).Status);
        Send(drive, 1);
        drive.Bench.Kick(0);
        Assert.Equal(3, drive.Driver.UsedIdx);
    }

    [Fact]
    public void New_limits_are_in_force_at_once()
    {
        using var drive = Drive(ops: new TokenBucketConfig(1, 0, HourMs));
        Send(drive, 3);
        drive.Bench.Kick(0);
        Assert.Equal(1, drive.Driver.UsedIdx);
        drive.Device.UpdateRateLimiter(new RateLimiterConfig(null, new TokenBucketConfig(0, 0, 0)));
        drive.Bench.PumpUntil(() => drive.Driver.UsedIdx == 3, "the drive to go on without a limit");
    }

    [Fact]
    public void A_reset_while_waiting_forgets_the_requests_and_the_timer()
    {
        using var drive = Drive(ops: new TokenBucketConfig(1, 0, HourMs));
        Send(drive, 2);
        FakeDriver old = drive.Driver;
        drive.Bench.Kick(0);
        Assert.Equal(1, old.UsedIdx);
        // The token is there, and the timer due when the loop turns next.
        drive.Device.UpdateRateLimiter(new RateLimiterConfig(null, new TokenBucketConfig(1, 0, 20)));
        drive.Bench.Driver.Reset();
        var clock = System.Diagnostics.Stopwatch.StartNew();
        while (clock.ElapsedMilliseconds < 60)
        {
            drive.Bench.Loop.RunOnce(20);
        }

        Assert.Equal(1, old.UsedIdx);
        drive.Bench.Start();
        Assert.Equal(0, drive.Request(BlockBench.In, 0, drive.Driver.Writable(512)).Status);
    }

    [Fact]
    public void A_restored_drive_owes_what_it_owed()
    {
        using var drive = Drive(bandwidth: new TokenBucketConfig(512, 0, HourMs));
        Assert.Equal(0, drive.Request(BlockBench.In, 0, drive.Driver.Writable(512)).Status);
        BlockState state = drive.Device.Save();
        using var other = Drive();
        other.Device.Restore(state);
        Send(other, 1);
        other.Bench.Kick(0);
        Assert.Equal(0, other.Driver.UsedIdx);
    }

    private static BlockBench Drive(TokenBucketConfig? bandwidth = null, TokenBucketConfig? ops = null) =>
        new(new byte[64 * 512], c => c with { RateLimiter = new RateLimiterConfig(bandwidth, ops) });

    private static void Send(BlockBench drive, int reads)
    {
        for (int i = 0; i < reads; i++)
        {
            drive.Driver.Add(drive.Header(BlockBench.In, 0), drive.Driver.Writable(512), drive.Driver.Writable(1));
        }
    }
}
