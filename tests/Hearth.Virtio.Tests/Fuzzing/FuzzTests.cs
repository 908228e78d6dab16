using Hearth.Linux;
using Hearth.Testing.Fuzzing;
using Hearth.Virtio.Block;
using Hearth.Virtio.Fs;
using Hearth.Virtio.RateLimiting;
using Hearth.Virtio.Rng;
using Hearth.Virtio.Tests.Block;
using Hearth.Virtio.Tests.Net;
using Hearth.Virtio.Tests.VhostUser;

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

    /// <summary>A guest whose file system's back end holds all requests, dies and comes back.</summary>
    [Fact]
    public void Fuzz_fs()
    {
        using var backEnd = new FakeBackEnd { Holds = true };
        Fuzzer.Run("fs", input =>
        {
            if (!backEnd.IsAlive)
            {
                backEnd.StartAgain();
            }

            using var target = new DeviceFuzzTarget(new FsDevice("tag", backEnd.Path), _ => (backEnd.IsAlive ? (Action)backEnd.Die : backEnd.StartAgain)());
            target.Run(input);
        });
    }

    /// <summary>A hostile back end.</summary>
    [Fact]
    public void Fuzz_vhost_user() => Fuzzer.Run("vhost_user", VhostUserFuzzTarget.Run);
}
