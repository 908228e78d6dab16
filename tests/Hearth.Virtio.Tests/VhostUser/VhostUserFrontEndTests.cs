using System.Buffers.Binary;
using Hearth.Linux;
using Hearth.Testing.Virtio;
using Hearth.Virtio.Block;
using Hearth.Virtio.Fs;
using Hearth.Virtio.Transport;
using Hearth.Virtio.VhostUser;

namespace Hearth.Virtio.Tests.VhostUser;

/// <summary>A device and the process that serves it, over a real socket.</summary>
public sealed class VhostUserFrontEndTests : IDisposable
{
    private const uint ConfigInterrupt = 2;

    // For all of a start: one that goes well must be done within it on a busy host. Only an answer that never comes costs it.
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(2);

    // Where many of them never come.
    private static readonly TimeSpan s_lessPatience = TimeSpan.FromMilliseconds(500);

    private readonly FakeBackEnd _backEnd = new();
    private readonly List<string> _warnings = [];

    public void Dispose() => _backEnd.Dispose();

    [Fact]
    public void A_request_goes_to_the_back_end_and_its_answer_to_the_guest()
    {
        using DeviceBench bench = Filesystem();
        bench.Start();
        Exchange(bench, 1);
        Exchange(bench, 0);
        // The monitor had no part in it.
        Assert.Equal(0, bench.Line.Edges);
        Assert.Equal(1u, bench.Driver.InterruptStatus & 1);
    }

    [Fact]
    public void The_back_end_sees_the_guest_s_memory_where_the_guest_has_it()
    {
        using DeviceBench bench = Filesystem();
        bench.Start();
        bench.Memory.Write(new Platform.Memory.GuestAddress(0x1234), (byte)0xa7);
        Assert.Equal(0xa7, _backEnd.ReadByte(0x1234));
        bench.Memory.Write(new Platform.Memory.GuestAddress((64 << 20) - 1), (byte)0x7a);
        Assert.Equal(0x7a, _backEnd.ReadByte((64 << 20) - 1));
    }

    [Fact]
    public void The_back_end_sees_memory_on_both_sides_of_the_gap()
    {
        using var bench = new DeviceBench(new FsDevice("tag", _backEnd.Path), memoryBytes: 4UL << 30);
        bench.Start();
        bench.Memory.Write(new Platform.Memory.GuestAddress(0xbfff_ffff), (byte)1);
        bench.Memory.Write(new Platform.Memory.GuestAddress(0x1_0000_0000), (byte)2);
        Assert.Equal(1, _backEnd.ReadByte(0xbfff_ffff));
        Assert.Equal(2, _backEnd.ReadByte(0x1_0000_0000));
    }

    [Fact]
    public void A_back_end_without_acknowledgements_and_queue_count_serves_as_well()
    {
        _backEnd.ProtocolFeatures = (ulong)VhostUserProtocolFeatures.None;
        using DeviceBench bench = Filesystem();
        bench.Start();
        Exchange(bench, 1);
        Assert.DoesNotContain(VhostUserRequest.GetQueueNum, _backEnd.Asked);
    }

    [Fact]
    public void Only_what_both_can_is_offered_to_the_driver()
    {
        _backEnd.Features &= ~VirtioFeatures.RingEventIdx;
        using DeviceBench bench = Filesystem();
        Assert.Equal(VirtioFeatures.Version1 | VirtioFeatures.RingIndirectDesc, bench.Driver.OfferedFeatures());
    }

    [Fact]
    public void A_reset_takes_the_queues_back_and_the_next_driver_is_served_again()
    {
        using DeviceBench bench = Filesystem();
        for (int life = 0; life < 3; life++)
        {
            bench.Start();
            Exchange(bench, 1);
            bench.Driver.Reset();
            Assert.Equal(2 * (life + 1), _backEnd.Asked.Count(static r => r == VhostUserRequest.GetVringBase));
        }

        Assert.Equal(1, _backEnd.Sessions);
        Assert.Empty(_warnings);
    }

    [Fact]
    public void A_back_end_that_dies_leaves_errors_for_what_it_held_and_for_all_that_follows()
    {
        using DeviceBench bench = Filesystem();
        bench.Start();
        Exchange(bench, 1);
        _backEnd.Holds = true;
        FakeDriver queue = bench.Queues[1];
        FakeBuffer first = AddRequest(queue, 11);
        FakeBuffer second = AddRequest(queue, 12);
        bench.Transport.QueueNotifiers[1].Signal();
        bench.PumpUntil(() => Volatile.Read(ref _backEnd.Taken) == 3, "the back end to take both");
        _backEnd.Die();
        bench.PumpUntil(() => (bench.Driver.Status & DeviceStatus.NeedsReset) != 0, "the end to be noticed");
        AssertIoError(queue, first, 11);
        AssertIoError(queue, second, 12);
        while (queue.TryTakeUsed(out _))
        {
        }

        Assert.Equal(0, queue.Outstanding);
        Assert.Equal(ConfigInterrupt, bench.Driver.InterruptStatus & ConfigInterrupt);
        Assert.NotEqual(0, bench.Line.Edges);
        Assert.Contains("has gone", Assert.Single(_warnings), StringComparison.Ordinal);
        FakeBuffer late = AddRequest(queue, 13);
        bench.Kick(1);
        AssertIoError(queue, late, 13);
        // A forget has no room for an answer and is simply given back.
        bench.Queues[0].Add(bench.Queues[0].Readable(new byte[48]));
        bench.Kick(0);
        Assert.Equal(0u, bench.Queues[0].TakeUsed().Length);
    }

    [Fact]
    public void After_a_reset_a_back_end_that_was_started_again_is_found()
    {
        using DeviceBench bench = Filesystem();
        bench.Start();
        _backEnd.Die();
        bench.PumpUntil(() => (bench.Driver.Status & DeviceStatus.NeedsReset) != 0, "the end to be noticed");
        bench.Driver.Reset();
        bench.Start();
        // Nobody is there yet.
        Assert.Equal(DeviceStatus.NeedsReset, bench.Driver.Status & DeviceStatus.NeedsReset);
        _backEnd.StartAgain();
        bench.Driver.Reset();
        bench.Start();
        Assert.Equal((DeviceStatus)0x0f, bench.Driver.Status);
        Exchange(bench, 1);
    }

    [Fact]
    public void A_back_end_that_dies_between_two_drivers_is_found_dead_by_the_second()
    {
        using DeviceBench bench = Filesystem();
        bench.Start();
        bench.Driver.Reset();
        _backEnd.Die();
        _backEnd.StartAgain();
        bench.Start();
        Exchange(bench, 1);
        Assert.Equal(2, _backEnd.Sessions);
    }

    [Fact]
    public void A_back_end_that_hangs_at_a_reset_is_left_and_the_reset_happens()
    {
        using DeviceBench bench = Filesystem(s_patience);
        bench.Start();
        _backEnd.Answer = static (request, answer) => request == VhostUserRequest.GetVringBase ? [] : answer;
        bench.Driver.Reset();
        Assert.Equal(DeviceStatus.None, bench.Driver.Status);
        Assert.Contains("has not answered GetVringBase", Assert.Single(_warnings), StringComparison.Ordinal);
        // The next driver gets a session of its own.
        bench.Start();
        Exchange(bench, 1);
        Assert.Equal(2, _backEnd.Sessions);
    }

    [Fact]
    public void A_back_end_that_hangs_at_the_start_asks_for_a_reset()
    {
        using DeviceBench bench = Filesystem(s_patience);
        _backEnd.Answer = static (request, answer) => request == VhostUserRequest.SetMemTable ? [] : answer;
        bench.Start();
        Assert.Equal(DeviceStatus.NeedsReset, bench.Driver.Status & DeviceStatus.NeedsReset);
        Assert.Contains("has not answered SetMemTable", Assert.Single(_warnings), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("GetFeatures")]
    [InlineData("GetProtocolFeatures")]
    [InlineData("GetQueueNum")]
    [InlineData("GetConfig")]
    public void A_back_end_that_hangs_dies_or_lies_when_it_is_met_is_refused(string name)
    {
        VhostUserRequest request = Enum.Parse<VhostUserRequest>(name);
        foreach (Func<byte[], byte[]?> wrong in WrongAnswers())
        {
            _backEnd.Answer = (asked, answer) => asked == request ? wrong(answer) : answer;
            var refused = Assert.Throws<VhostUserException>(
                () => new VhostUserBlockDevice(new VhostUserBlockConfig { DriveId = "d", Socket = _backEnd.Path }, s_lessPatience));
            Assert.Contains(_backEnd.Path, refused.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("SetFeatures")]
    [InlineData("SetMemTable")]
    [InlineData("SetVringKick")]
    [InlineData("SetVringEnable")]
    public void A_back_end_that_hangs_dies_or_lies_when_it_is_started_asks_for_a_reset(string name)
    {
        VhostUserRequest request = Enum.Parse<VhostUserRequest>(name);
        using DeviceBench bench = Filesystem(s_lessPatience);
        foreach (Func<byte[], byte[]?> wrong in WrongAnswers())
        {
            _backEnd.Answer = (asked, answer) => asked == request ? wrong(answer) : answer;
            bench.Start();
            Assert.Equal(DeviceStatus.NeedsReset, bench.Driver.Status & DeviceStatus.NeedsReset);
            bench.Driver.Reset();
        }

        // A refusal is an answer, too.
        _backEnd.Answer = (asked, answer) => asked == request ? [.. answer[..^8], 1, 0, 0, 0, 0, 0, 0, 0] : answer;
        bench.Start();
        Assert.Contains($"refused {name}", _warnings[^1], StringComparison.Ordinal);
        bench.Driver.Reset();
        _backEnd.Answer = static (_, answer) => answer;
        bench.Start();
        Exchange(bench, 1);
    }

    [Fact]
    public void A_reset_by_a_lying_back_end_still_happens()
    {
        using DeviceBench bench = Filesystem(s_patience);
        foreach (Func<byte[], byte[]?> wrong in WrongAnswers().Append(static answer => [.. answer[..12], 1, 0, 0, 0, 0, 0, 1, 0]))
        {
            _backEnd.Answer = static (_, answer) => answer;
            bench.Start();
            Assert.Equal((DeviceStatus)0x0f, bench.Driver.Status);
            _backEnd.Answer = (asked, answer) => asked == VhostUserRequest.GetVringBase ? wrong(answer) : answer;
            bench.Driver.Reset();
            Assert.Equal(DeviceStatus.None, bench.Driver.Status);
        }
    }

    [Fact]
    public void An_answer_a_byte_at_a_time_does_not_stretch_the_deadline()
    {
        using UnixListener listener = UnixListener.Bind(_backEnd.Path + "-slow", 1);
        using var stop = new CancellationTokenSource();
        var dribble = new Thread(() =>
        {
            UnixStream? stream = null;
            while (!stop.IsCancellationRequested)
            {
                stream ??= listener.TryAccept();
                // Never a whole header within the time, and no sane one after it.
                stream?.Send([1]);
                stop.Token.WaitHandle.WaitOne(20);
            }

            stream?.Dispose();
        });
        dribble.Start();
        Assert.Throws<VhostUserException>(() => new FsDevice("tag", _backEnd.Path + "-slow", TimeSpan.FromMilliseconds(100)));
        stop.Cancel();
        dribble.Join();
    }

    [Fact]
    public void Without_a_back_end_there_is_no_device()
    {
        var missing = Assert.Throws<VhostUserException>(() => new FsDevice("tag", _backEnd.Path + "-not"));
        Assert.Contains("No such file or directory (os error 2)", missing.Message, StringComparison.Ordinal);
        _backEnd.Queues = 1;
        Assert.Contains("serves 1 queues", Assert.Throws<VhostUserException>(() => new FsDevice("tag", _backEnd.Path)).Message, StringComparison.Ordinal);
        _backEnd.Queues = 2;
        _backEnd.Features &= ~VirtioFeatures.Version1;
        Assert.Throws<VhostUserException>(() => new FsDevice("tag", _backEnd.Path));
        _backEnd.Features &= ~VhostUserConnection.ProtocolFeaturesBit;
        Assert.Throws<VhostUserException>(() => new FsDevice("tag", _backEnd.Path));
    }

    [Fact]
    public void A_file_system_s_tag_is_its_configuration()
    {
        string longest = new('t', FsDevice.MaxTagBytes);
        using var bench = new DeviceBench(new FsDevice(longest, _backEnd.Path));
        var config = new byte[48];
        bench.Device.ReadConfig(0, config);
        Assert.Equal(longest, System.Text.Encoding.UTF8.GetString(config, 0, 36));
        Assert.Equal(1u, BinaryPrimitives.ReadUInt32LittleEndian(config.AsSpan(36)));
        Assert.Equal(VirtioDeviceType.Fs, bench.Device.Type);
    }

    [Fact]
    public void A_drive_is_as_large_as_its_back_end_says_and_grows_with_it()
    {
        BinaryPrimitives.WriteUInt64LittleEndian(_backEnd.Config, 2048);
        var device = new VhostUserBlockDevice(new VhostUserBlockConfig { DriveId = "d", Socket = _backEnd.Path });
        using var bench = new DeviceBench(device);
        bench.Start();
        Assert.Equal(2048u, bench.Driver.Read(0x100));
        BinaryPrimitives.WriteUInt64LittleEndian(_backEnd.Config, 4096);
        uint generation = bench.Driver.Read(0xfc);
        device.Refresh();
        Assert.Equal(4096u, bench.Driver.Read(0x100));
        Assert.NotEqual(generation, bench.Driver.Read(0xfc));
        Assert.Equal(ConfigInterrupt, bench.Driver.InterruptStatus & ConfigInterrupt);
        _backEnd.Die();
        Assert.Throws<VhostUserException>(device.Refresh);
        Assert.Equal(DeviceStatus.NeedsReset, bench.Driver.Status & DeviceStatus.NeedsReset);
    }

    [Theory]
    [InlineData(BlockCacheType.Unsafe, false)]
    [InlineData(BlockCacheType.Writeback, true)]
    public void A_drive_offers_a_flush_only_where_the_user_wants_it(BlockCacheType cache, bool flush)
    {
        using var device = new VhostUserBlockDevice(new VhostUserBlockConfig { DriveId = "d", Socket = _backEnd.Path, CacheType = cache });
        Assert.Equal(flush, (device.OfferedFeatures & (1UL << 9)) != 0);
        Assert.Equal(0UL, device.OfferedFeatures & (1UL << 26));
    }

    [Fact]
    public void A_drive_without_its_back_end_answers_with_io_errors()
    {
        using var bench = new DeviceBench(new VhostUserBlockDevice(new VhostUserBlockConfig { DriveId = "d", Socket = _backEnd.Path }));
        bench.Start();
        _backEnd.Holds = true;
        FakeDriver queue = bench.Queues[0];
        FakeBuffer status = queue.Writable(1);
        queue.Add(queue.Readable(new byte[16]), queue.Writable(512), status);
        bench.Transport.QueueNotifiers[0].Signal();
        bench.PumpUntil(() => Volatile.Read(ref _backEnd.Taken) == 1, "the back end to take it");
        _backEnd.Die();
        bench.PumpUntil(() => queue.UsedIdx == 1, "the error");
        queue.TakeUsed();
        Assert.Equal(1, Assert.Single(queue.Bytes(status)));
    }

    private static IEnumerable<Func<byte[], byte[]?>> WrongAnswers() =>
    [
        static _ => null,
        static _ => [],
        static answer => answer[..^1],
        static answer => With(answer, 0, 99),
        static answer => With(answer, 4, 1),
        static answer => With(answer, 4, 6),
        static answer => With(answer, 8, 0),
        static answer => With(answer, 8, 4),
        static answer => With(answer, 8, 255),
        static answer => With(answer, 11, 255),
    ];

    private static byte[] With(byte[] answer, int at, byte value)
    {
        byte[] wrong = [.. answer];
        wrong[at] = value;
        return wrong;
    }

    private static FakeBuffer AddRequest(FakeDriver queue, ulong unique)
    {
        var header = new byte[40];
        BinaryPrimitives.WriteUInt64LittleEndian(header.AsSpan(8), unique);
        FakeBuffer answer = queue.Writable(80);
        queue.Add(queue.Readable(header), answer);
        return answer;
    }

    private static void AssertIoError(FakeDriver queue, FakeBuffer answer, ulong unique)
    {
        byte[] bytes = queue.Bytes(answer);
        Assert.Equal(16u, BinaryPrimitives.ReadUInt32LittleEndian(bytes));
        Assert.Equal(-5, BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(4)));
        Assert.Equal(unique, BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(8)));
    }

    private DeviceBench Filesystem(TimeSpan? patience = null)
    {
        var device = new FsDevice("tag", _backEnd.Path, patience ?? VhostUserFrontEnd.DefaultPatience);
        device.Warning = _warnings.Add;
        return new DeviceBench(device);
    }

    /// <summary>A request there and its answer back, with the interrupt that the guest would see.</summary>
    private static void Exchange(DeviceBench bench, int index)
    {
        FakeDriver queue = bench.Queues[index];
        bench.Line.Event.Drain();
        byte[] question = [.. Enumerable.Range(1, 100).Select(static i => (byte)i)];
        FakeBuffer answer = queue.Writable(100);
        ushort head = queue.Add(queue.Readable(question), answer);
        bench.Driver.Ring(index);
        bench.PumpUntil(() => queue.UsedIdx != queue.SeenUsed, "the back end's answer");
        Assert.Equal(new UsedElement(head, 100), queue.TakeUsed());
        Assert.Equal(question, queue.Bytes(answer));
        bench.PumpUntil(bench.Line.Event.Drain, "the interrupt");
    }
}
