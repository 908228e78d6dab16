using CsCheck;
using Hearth.Linux;
using Hearth.Testing.Virtio;
using Hearth.Virtio.Block;
using Hearth.Virtio.Transport;

namespace Hearth.Virtio.Tests.Block;

public class BlockDeviceTests
{
    private const byte Ok = 0;
    private const byte IoError = 1;
    private const byte Unsupported = 2;
    private const ulong FeatureReadOnly = 1UL << 5;
    private const ulong FeatureFlush = 1UL << 9;

    [Fact]
    public void A_read_brings_the_file_s_bytes_into_guest_memory()
    {
        byte[] content = TemporaryFile.Pattern(64 * 512);
        using var drive = new BlockBench(content);
        FakeBuffer data = drive.Driver.Writable(4 * 512);
        Assert.Equal((Ok, 4 * 512u + 1), drive.Request(BlockBench.In, 3, data));
        Assert.Equal(content[(3 * 512)..(7 * 512)], drive.Driver.Bytes(data));
        Assert.Equal((1L, 4 * 512L), (drive.Device.Metrics.ReadCount.Value, drive.Device.Metrics.ReadBytes.Value));
    }

    [Fact]
    public void A_write_reaches_the_file_and_nothing_beside_it()
    {
        byte[] expected = TemporaryFile.Pattern(64 * 512);
        using var drive = new BlockBench(expected);
        byte[] written = TemporaryFile.Pattern(2 * 512, seed: 2);
        Assert.Equal((Ok, 1u), drive.Request(BlockBench.Out, 62, drive.Driver.Readable(written)));
        written.CopyTo(expected, 62 * 512);
        Assert.Equal(expected, drive.File.Content);
        Assert.Equal((1L, 2 * 512L), (drive.Device.Metrics.WriteCount.Value, drive.Device.Metrics.WriteBytes.Value));
    }

    [Fact]
    public void What_is_written_in_odd_pieces_is_read_back_in_other_odd_pieces()
    {
        Gen<int[]> pieces = Gen.Int[1, 700].Array[1, 20];
        Gen.Select(pieces, pieces, Gen.Int[1, 12], Gen.Int[0, 15], Gen.Bool).Sample(
            (writeCuts, readCuts, sectors, sector, splitHeader) =>
            {
                using var drive = new BlockBench(new byte[32 * 512]);
                byte[] data = TemporaryFile.Pattern(sectors * 512, seed: sectors);
                FakeBuffer[] sent = [.. Cut(data.Length, writeCuts).Select(p => drive.Driver.Readable(data.AsSpan(p.Start, p.Length)))];
                FakeBuffer header = drive.Header(BlockBench.Out, (ulong)sector);
                FakeBuffer[] headers = splitHeader ? [header with { Length = 5 }, new FakeBuffer(header.Address + 5, 11, false)] : [header];
                FakeBuffer status = drive.Driver.Writable(1);
                drive.Driver.Add([.. headers, .. sent, status]);
                drive.Bench.Kick(0);
                Assert.Equal(1u, drive.Driver.TakeUsed().Length);
                Assert.Equal([Ok], drive.Driver.Bytes(status));

                FakeBuffer[] received = [.. Cut(data.Length, readCuts).Select(p => drive.Driver.Writable((uint)p.Length))];
                Assert.Equal((Ok, (uint)data.Length + 1), drive.Request(BlockBench.In, (ulong)sector, received));
                Assert.Equal(data, received.SelectMany(drive.Driver.Bytes));
                Assert.Equal(data, drive.File.Content.AsSpan(sector * 512, data.Length));
            },
            iter: 100,
            threads: 1);
    }

    [Theory]
    [InlineData(BlockBench.In, 63, 1024)]
    [InlineData(BlockBench.In, 64, 512)]
    [InlineData(BlockBench.In, long.MaxValue, 512)]
    [InlineData(BlockBench.In, -1, 512)]
    [InlineData(BlockBench.In, 0, 511)]
    [InlineData(BlockBench.In, 0, 513)]
    [InlineData(BlockBench.Out, 63, 1024)]
    [InlineData(BlockBench.Out, -1, 512)]
    [InlineData(BlockBench.Out, 0, 100)]
    public void A_request_that_does_not_fit_the_drive_fails_and_moves_nothing(uint type, long sector, uint bytes)
    {
        byte[] content = TemporaryFile.Pattern(64 * 512);
        using var drive = new BlockBench(content);
        FakeBuffer data = drive.Driver.Writable(bytes) with { Writable = type == BlockBench.In };
        Assert.Equal((IoError, 1u), drive.Request(type, (ulong)sector, data));
        Assert.All(drive.Driver.Bytes(data), b => Assert.Equal(0, b));
        Assert.Equal(content, drive.File.Content);
        Assert.Equal(1, drive.Device.Metrics.ExecuteFails.Value);
    }

    [Fact]
    public void A_read_only_drive_says_so_and_refuses_writes()
    {
        byte[] content = TemporaryFile.Pattern(8 * 512);
        using var drive = new BlockBench(content, c => c with { IsReadOnly = true });
        Assert.NotEqual(0UL, drive.Device.OfferedFeatures & FeatureReadOnly);
        Assert.Equal((IoError, 1u), drive.Request(BlockBench.Out, 0, drive.Driver.Readable(new byte[512])));
        Assert.Equal(content, drive.File.Content);
        Assert.Equal(Ok, drive.Request(BlockBench.In, 0, drive.Driver.Writable(512)).Status);
    }

    [Fact]
    public void A_file_cut_short_behind_our_back_gives_an_io_error()
    {
        using var drive = new BlockBench(new byte[64 * 512]);
        drive.File.Content = new byte[512];
        Assert.Equal((IoError, 1u), drive.Request(BlockBench.In, 0, drive.Driver.Writable(4 * 512)));
        Assert.Equal(Ok, drive.Request(BlockBench.In, 0, drive.Driver.Writable(512)).Status);
    }

    [Fact]
    public void Bytes_after_the_last_whole_sector_are_out_of_reach_and_the_user_is_told()
    {
        using var drive = new BlockBench(new byte[(3 * 512) + 100]);
        Assert.Equal(3UL, drive.Device.Sectors);
        Assert.Contains("1636 bytes", drive.Device.SizeWarning, StringComparison.Ordinal);
        Assert.Equal(IoError, drive.Request(BlockBench.In, 3, drive.Driver.Writable(512)).Status);
    }

    [Fact]
    public void A_flush_succeeds_and_is_offered_only_where_it_means_something()
    {
        using var writeback = new BlockBench(new byte[512]);
        Assert.NotEqual(0UL, writeback.Device.OfferedFeatures & FeatureFlush);
        Assert.Equal((Ok, 1u), writeback.Request(BlockBench.Flush, 0));
        Assert.Equal(1, writeback.Device.Metrics.FlushCount.Value);
        using var careless = new BlockBench(new byte[512], c => c with { CacheType = BlockCacheType.Unsafe });
        Assert.Equal(0UL, careless.Device.OfferedFeatures & FeatureFlush);
        Assert.Equal((Ok, 1u), careless.Request(BlockBench.Flush, 0));
    }

    [Fact]
    public void Get_id_gives_twenty_bytes_that_name_the_file()
    {
        using var drive = new BlockBench(new byte[512]);
        FakeBuffer first = drive.Driver.Writable(20);
        Assert.Equal((Ok, 21u), drive.Request(BlockBench.GetId, 0, first));
        FakeBuffer again = drive.Driver.Writable(20);
        drive.Request(BlockBench.GetId, 0, again);
        Assert.Equal(drive.Driver.Bytes(first), drive.Driver.Bytes(again));
        Assert.Matches("^[0-9]{1,20}\0*$", System.Text.Encoding.ASCII.GetString(drive.Driver.Bytes(first)));
        using var other = new BlockBench(new byte[512]);
        FakeBuffer different = other.Driver.Writable(20);
        other.Request(BlockBench.GetId, 0, different);
        Assert.NotEqual(drive.Driver.Bytes(first), other.Driver.Bytes(different));
        Assert.Equal(IoError, drive.Request(BlockBench.GetId, 0, drive.Driver.Writable(19)).Status);
    }

    [Fact]
    public void An_unknown_request_is_unsupported()
    {
        using var drive = new BlockBench(new byte[512]);
        Assert.Equal((Unsupported, 1u), drive.Request(11, 0));
        Assert.Equal((Unsupported, 1u), drive.Request(uint.MaxValue, 0, drive.Driver.Writable(512)));
        Assert.Equal(2, drive.Device.Metrics.InvalidReqsCount.Value);
    }

    [Fact]
    public void Chains_that_are_no_request_come_back_and_the_next_request_is_served()
    {
        using var drive = new BlockBench(new byte[512]);
        // No status byte; a header cut short with a status byte; nothing to read at all.
        drive.Driver.Add(drive.Header(BlockBench.In, 0));
        FakeBuffer status = drive.Driver.Writable(1);
        drive.Driver.Add(drive.Driver.Readable(new byte[15]), status);
        drive.Driver.Add(drive.Driver.Writable(512));
        drive.Bench.Kick(0);
        Assert.Equal(0u, drive.Driver.TakeUsed().Length);
        Assert.Equal(1u, drive.Driver.TakeUsed().Length);
        Assert.Equal([IoError], drive.Driver.Bytes(status));
        drive.Driver.TakeUsed();
        Assert.Equal(3, drive.Device.Metrics.InvalidReqsCount.Value);
        Assert.Equal(Ok, drive.Request(BlockBench.In, 0, drive.Driver.Writable(512)).Status);
    }

    [Fact]
    public void A_full_queue_is_served_in_one_turn_with_one_interrupt()
    {
        byte[] content = TemporaryFile.Pattern(256 * 512);
        using var drive = new BlockBench(content);
        var reads = new FakeBuffer[256];
        for (int i = 0; i < reads.Length; i++)
        {
            reads[i] = drive.Driver.Writable(512);
            drive.Driver.AddIndirect(drive.Header(BlockBench.In, (ulong)i), reads[i], drive.Driver.Writable(1));
        }

        int edges = drive.Bench.Line.Edges;
        drive.Bench.Kick(0);
        Assert.Equal(1, drive.Bench.Line.Edges - edges);
        for (int i = 0; i < reads.Length; i++)
        {
            Assert.Equal(513u, drive.Driver.TakeUsed().Length);
            Assert.Equal(content[(i * 512)..((i + 1) * 512)], drive.Driver.Bytes(reads[i]));
        }
    }

    [Fact]
    public void Serving_requests_allocates_nothing()
    {
        using var drive = new BlockBench(new byte[64 * 512]);
        FakeBuffer header = drive.Header(BlockBench.In, 1);
        FakeBuffer data = drive.Driver.Writable(4096);
        FakeBuffer status = drive.Driver.Writable(1);
        drive.Driver.SetDescriptor(0, header.Address, header.Length, FakeDriver.Next, 1);
        drive.Driver.SetDescriptor(1, data.Address, data.Length, FakeDriver.Next | FakeDriver.Write, 2);
        drive.Driver.SetDescriptor(2, status.Address, status.Length, FakeDriver.Write, 0);
        void Round()
        {
            for (int i = 0; i < 32; i++)
            {
                drive.Driver.PushHead(0);
            }

            drive.Bench.Kick(0);
        }

        for (int warmUp = 0; warmUp < 100; warmUp++)
        {
            Round();
        }

        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100; i++)
        {
            Round();
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal(200 * 32, drive.Device.Metrics.ReadCount.Value);
    }

    [Fact]
    public void Another_file_behind_the_drive_changes_the_capacity_and_wakes_the_driver()
    {
        using var drive = new BlockBench(new byte[8 * 512]);
        byte[] content = TemporaryFile.Pattern(16 * 512);
        using var other = new TemporaryFile(content);
        uint generation = drive.Bench.Driver.Read(0xfc);
        drive.Device.UpdatePath(other.Path);
        Assert.Equal(16u, drive.Bench.Driver.Read(0x100));
        Assert.NotEqual(generation, drive.Bench.Driver.Read(0xfc));
        Assert.Equal(2u, drive.Bench.Driver.InterruptStatus & 2);
        FakeBuffer data = drive.Driver.Writable(512);
        Assert.Equal(Ok, drive.Request(BlockBench.In, 15, data).Status);
        Assert.Equal(content[(15 * 512)..], drive.Driver.Bytes(data));
    }

    [Fact]
    public void A_new_file_that_is_not_there_leaves_the_old_one()
    {
        using var drive = new BlockBench(new byte[8 * 512]);
        LinuxException e = Assert.Throws<LinuxException>(() => drive.Device.UpdatePath("/nowhere/disk"));
        Assert.Contains("/nowhere/disk", e.Message, StringComparison.Ordinal);
        Assert.Equal(8u, drive.Bench.Driver.Read(0x100));
        Assert.Equal(Ok, drive.Request(BlockBench.In, 7, drive.Driver.Writable(512)).Status);
        Assert.Equal(1, drive.Device.Metrics.UpdateFails.Value);
    }

    [Theory]
    [InlineData("/")]
    [InlineData("/dev/null")]
    [InlineData("")]
    public void What_holds_no_disk_is_refused(string path)
    {
        HearthException e = Assert.ThrowsAny<HearthException>(
            () => new BlockDevice(new BlockConfig { DriveId = "d", Path = path, IsReadOnly = true }));
        Assert.Contains($"\"{path}\"", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_drive_restored_over_a_file_of_another_size_tells_the_guest()
    {
        BlockState state;
        TransportState transport;
        using (var drive = new BlockBench(new byte[8 * 512]))
        {
            state = drive.Device.Save();
            transport = drive.Bench.Transport.Save();
        }

        using var file = new TemporaryFile(new byte[9 * 512]);
        var device = new BlockDevice(new BlockConfig { DriveId = "rootfs", Path = file.Path, CacheType = BlockCacheType.Writeback });
        using var bench = new DeviceBench(device);
        device.Restore(state);
        bench.Transport.Restore(transport);
        Assert.Equal(transport.ConfigGeneration + 1, bench.Driver.Read(0xfc));
        Assert.Equal(2u, bench.Driver.InterruptStatus & 2);
        Assert.Throws<HearthException>(() => device.Restore(state with { IsReadOnly = true }));
    }

    private static List<(int Start, int Length)> Cut(int total, int[] lengths)
    {
        var pieces = new List<(int, int)>();
        int start = 0;
        for (int i = 0; start < total; i++)
        {
            int length = Math.Min(lengths[i % lengths.Length], total - start);
            // The last of 40 pieces takes the rest, so that the chain fits the queue.
            length = pieces.Count == 40 ? total - start : length;
            pieces.Add((start, length));
            start += length;
        }

        return pieces;
    }
}
