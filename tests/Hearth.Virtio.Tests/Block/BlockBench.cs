using Hearth.Testing.Virtio;
using Hearth.Virtio.Block;

namespace Hearth.Virtio.Tests.Block;

/// <summary>A drive on a bench over a temporary file, and requests as a driver would send them.</summary>
internal sealed class BlockBench : IDisposable
{
    public const uint In = 0;
    public const uint Out = 1;
    public const uint Flush = 4;
    public const uint GetId = 8;

    public BlockBench(byte[] content, Func<BlockConfig, BlockConfig>? change = null, ulong features = ulong.MaxValue)
    {
        File = new TemporaryFile(content);
        var config = new BlockConfig { DriveId = "rootfs", Path = File.Path, CacheType = BlockCacheType.Writeback };
        Device = new BlockDevice(change is null ? config : change(config));
        Bench = new DeviceBench(Device);
        Bench.Start(features);
    }

    public TemporaryFile File { get; }

    public BlockDevice Device { get; }

    public DeviceBench Bench { get; }

    public FakeDriver Driver => Bench.Queues[0];

    public FakeBuffer Header(uint type, ulong sector)
    {
        Span<byte> header = stackalloc byte[16];
        BitConverter.TryWriteBytes(header, type);
        BitConverter.TryWriteBytes(header[8..], sector);
        return Driver.Readable(header);
    }

    /// <summary>Sends one request and gives back its status and used length.</summary>
    public (byte Status, uint Used) Request(uint type, ulong sector, params FakeBuffer[] data)
    {
        FakeBuffer status = Driver.Readable([0xee]) with { Writable = true };
        Driver.Add([Header(type, sector), .. data, status]);
        Bench.Kick(0);
        uint used = Driver.TakeUsed().Length;
        return (Driver.Bytes(status)[0], used);
    }

    public void Dispose()
    {
        Bench.Dispose();
        File.Dispose();
    }
}
