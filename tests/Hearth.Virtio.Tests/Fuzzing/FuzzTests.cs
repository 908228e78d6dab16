using Hearth.Linux;
using Hearth.Testing.Fuzzing;
using Hearth.Virtio.Block;
using Hearth.Virtio.RateLimiting;
using Hearth.Virtio.Rng;
using Hearth.Virtio.Tests.Block;
using Hearth.Virtio.Tests.Net;

namespace Hearth.Virtio.Tests.Fuzzing;

/// <summary>Hostile guests, a target each; <c>fuzz/run NAME</c> runs one of them for long.</summary>
public class FuzzTests
{
    [Fact]
    public void Fuzz_block()
    {
        using var file = new TemporaryFile(new byte[64 << 10]);
        Fuzzer.Run("block", input =>
        {
            using var target = new DeviceFuzzTarget(new BlockDevice(new BlockConfig { DriveId = "d", Path = file.Path, CacheType = BlockCacheType.Unsafe }));
            target.Run(input);
        });
        Assert.Equal(64 << 10, new FileInfo(file.Path).Length);
    }

    [Fact]
    public void Fuzz_net() => Fuzzer.Run("net", input =>
    {
        List<IDisposable> ends = [];
        using var target = new DeviceFuzzTarget(NetBench.Create(ends), frame => Polling.WriteWithoutBlocking((FileDescriptor)ends[0], frame.Span));
        target.Run(input);
        ends[0].Dispose();
    });

    [Fact]
    public void Fuzz_rng() => Fuzzer.Run("rng", input =>
    {
        using var target = new DeviceFuzzTarget(new RngDevice(new RateLimiterConfig(new TokenBucketConfig(100_000, 0, 1000), null)));
        target.Run(input);
    });
}
