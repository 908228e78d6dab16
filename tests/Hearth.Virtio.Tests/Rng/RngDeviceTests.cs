using CsCheck;
using Hearth.Testing.Virtio;
using Hearth.Virtio.RateLimiting;
using Hearth.Virtio.Rng;

namespace Hearth.Virtio.Tests.Rng;

public sealed class RngDeviceContractTests : VirtioDeviceContract
{
    protected override VirtioDevice CreateDevice() => new RngDevice(null);
}

public class RngDeviceTests
{
    [Fact]
    public void Every_buffer_of_a_request_is_filled()
    {
        Gen.UInt[1, 3000].Array[1, 6].Sample(lengths =>
        {
            using var bench = new DeviceBench(new RngDevice(null));
            bench.Start();
            FakeDriver driver = bench.Queues[0];
            FakeBuffer[] buffers = [.. lengths.Select(l => driver.Writable(l))];
            driver.Add(buffers);
            bench.Kick(0);
            Assert.Equal((uint)lengths.Sum(l => l), driver.TakeUsed().Length);
            // 64 equal bytes in a row would be luck of one in 2^504.
            Assert.All(buffers.Where(b => b.Length >= 64), b => Assert.True(driver.Bytes(b).Distinct().Count() > 1));
        });
    }

    [Fact]
    public void A_request_gets_64_kib_at_most_and_says_so()
    {
        var device = new RngDevice(null);
        using var bench = new DeviceBench(device);
        bench.Start();
        bench.Queues[0].Add(bench.Queues[0].Writable(200_000));
        bench.Kick(0);
        Assert.Equal(RngDevice.MaxBytesPerRequest, bench.Queues[0].TakeUsed().Length);
        Assert.Equal(RngDevice.MaxBytesPerRequest, device.Metrics.EntropyBytes.Value);
    }

    [Fact]
    public void A_request_without_room_is_given_back_empty_and_counted()
    {
        var device = new RngDevice(null);
        using var bench = new DeviceBench(device);
        bench.Start();
        bench.Queues[0].Add(bench.Queues[0].Readable([1, 2, 3]));
        bench.Kick(0);
        Assert.Equal(0u, bench.Queues[0].TakeUsed().Length);
        Assert.Equal(1, device.Metrics.EntropyEventFails.Value);
    }

    [Fact]
    public void A_limited_device_makes_the_second_request_wait_for_its_tokens()
    {
        // An hour: never within this test.
        var device = new RngDevice(new RateLimiterConfig(null, new TokenBucketConfig(1, 0, 3_600_000)));
        using var bench = new DeviceBench(device);
        bench.Start();
        FakeDriver driver = bench.Queues[0];
        driver.Add(driver.Writable(16));
        driver.Add(driver.Writable(16));
        bench.Kick(0);
        Assert.Equal(16u, driver.TakeUsed().Length);
        Assert.Equal(1, device.Metrics.EntropyRateLimiterThrottled.Value);
        Assert.False(bench.Loop.RunOnce(0));
        Assert.Equal(1, driver.UsedIdx);
    }

    [Fact]
    public void A_limited_device_serves_its_requests_as_their_tokens_come()
    {
        var device = new RngDevice(new RateLimiterConfig(null, new TokenBucketConfig(1, 0, 50)));
        using var bench = new DeviceBench(device);
        bench.Start();
        FakeDriver driver = bench.Queues[0];
        for (int i = 0; i < 3; i++)
        {
            driver.Add(driver.Writable(16));
        }

        bench.Kick(0);
        bench.PumpUntil(() => device.Metrics.EntropyBytes.Value == 48, "the third request");
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal(16u, driver.TakeUsed().Length);
        }
    }
}
