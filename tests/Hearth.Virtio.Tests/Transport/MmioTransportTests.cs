using Hearth.Linux;
using Hearth.Testing.Virtio;
using Hearth.Virtio.Queues;
using Hearth.Virtio.Transport;

namespace Hearth.Virtio.Tests.Transport;

public sealed class MmioTransportTests : IDisposable
{
    private const DeviceStatus AllSteps =
        DeviceStatus.Acknowledge | DeviceStatus.Driver | DeviceStatus.FeaturesOk | DeviceStatus.DriverOk;

    private readonly DrainingDevice _device = new();
    private readonly DeviceBench _bench;

    public MmioTransportTests() => _bench = new DeviceBench(_device);

    private FakeMmioDriver Driver => _bench.Driver;

    public void Dispose() => _bench.Dispose();

    [Fact]
    public void The_identity_registers_say_virtio_over_mmio_version_2()
    {
        Assert.Equal(0x74726976u, Driver.Read(0x0));
        Assert.Equal(2u, Driver.Read(0x4));
        Assert.Equal((uint)VirtioDeviceType.Rng, Driver.Read(0x8));
    }

    [Fact]
    public void Shared_memory_regions_are_said_not_to_be_there()
    {
        Driver.Write(0xac, 0);
        Assert.All((uint[])[0xb0, 0xb4, 0xb8, 0xbc], r => Assert.Equal(uint.MaxValue, Driver.Read(r)));
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(0, 2)]
    [InlineData(0, 8)]
    [InlineData(2, 4)]
    [InlineData(1, 1)]
    public void A_register_read_of_another_width_or_off_alignment_is_zero(ulong offset, int length)
    {
        byte[] data = [.. Enumerable.Repeat((byte)0xff, length)];
        _bench.Transport.Read(offset, data);
        Assert.All(data, b => Assert.Equal(0, b));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(8)]
    public void A_register_write_of_another_width_does_nothing(int length)
    {
        byte[] data = new byte[length];
        data[0] = 1;
        _bench.Transport.Write(0x70, data);
        Assert.Equal(DeviceStatus.None, Driver.Status);
    }

    [Fact]
    public void The_configuration_space_is_read_in_any_power_of_two_and_written_by_a_driver_only()
    {
        Span<byte> data = stackalloc byte[8];
        _bench.Transport.Read(0x100, data);
        Assert.Equal((byte[])[1, 2, 3, 4, 5, 6, 7, 8], data.ToArray());
        _bench.Transport.Read(0x103, data[..1]);
        Assert.Equal(4, data[0]);
        _bench.Transport.Write(0x101, [9, 9]);
        Assert.Equal(0x04030201u, Driver.Read(0x100));
        Driver.AddStatus(DeviceStatus.Acknowledge);
        Driver.AddStatus(DeviceStatus.Driver);
        _bench.Transport.Write(0x101, [9, 9]);
        Assert.Equal(0x04090901u, Driver.Read(0x100));
    }

    [Fact]
    public void A_driver_that_goes_by_the_book_finds_the_device_at_work()
    {
        _bench.Start();
        Assert.Equal(AllSteps, Driver.Status);
        Assert.NotNull(_device.Active);
        Assert.Equal(_device.OfferedFeatures, _device.Active.Features);
        Assert.Equal([16, 8], _device.Active.Queues.Select(q => (int)q.Size));
        Assert.Equal(0, _bench.Transport.IgnoredSteps);
    }

    [Fact]
    public void Features_without_version_1_are_refused_and_may_be_tried_again()
    {
        Assert.False(Driver.AcceptFeatures(VirtioFeatures.RingEventIdx));
        Driver.AddStatus(DeviceStatus.DriverOk);
        Assert.Equal(DeviceStatus.Acknowledge | DeviceStatus.Driver, Driver.Status);
        Assert.Null(_device.Active);
        Assert.True(Driver.AcceptFeatures(VirtioFeatures.Version1));
    }

    [Fact]
    public void Features_are_fixed_once_agreed_on()
    {
        Assert.True(Driver.AcceptFeatures(VirtioFeatures.Version1));
        Driver.Write(0x24, 0);
        Driver.Write(0x20, (uint)DrainingDevice.OwnFeature);
        Driver.AddStatus(DeviceStatus.DriverOk);
        Assert.Equal(VirtioFeatures.Version1, _device.Active!.Features);
    }

    [Fact]
    public void Steps_out_of_order_are_not_taken()
    {
        Driver.Write(0x70, (uint)DeviceStatus.Driver);
        Assert.Equal(DeviceStatus.None, Driver.Status);
        Driver.Write(0x70, (uint)(DeviceStatus.Acknowledge | DeviceStatus.DriverOk));
        Assert.Equal(DeviceStatus.Acknowledge, Driver.Status);
        Driver.Write(0x70, 0x100 | (uint)(DeviceStatus.Acknowledge | DeviceStatus.Driver));
        Assert.Equal(DeviceStatus.Acknowledge, Driver.Status);
        Assert.Equal(3, _bench.Transport.IgnoredSteps);
    }

    [Fact]
    public void A_driver_cannot_take_a_step_back_but_by_a_reset()
    {
        _bench.Start();
        Driver.Write(0x70, (uint)DeviceStatus.Acknowledge);
        Assert.Equal(AllSteps, Driver.Status);
        Driver.Reset();
        Assert.Equal(DeviceStatus.None, Driver.Status);
        Assert.Null(_device.Active);
    }

    [Fact]
    public void A_driver_that_gives_up_is_called_no_more()
    {
        _bench.Start();
        _bench.Pump();
        _device.Notified.Clear();
        Driver.AddStatus(DeviceStatus.Failed);
        Assert.Equal(AllSteps | DeviceStatus.Failed, Driver.Status);
        _bench.Kick(0);
        Assert.Empty(_device.Notified);
    }

    [Fact]
    public void Queues_of_a_device_at_work_stay_where_they_are()
    {
        _bench.Start();
        Driver.SetUpQueue(0, _bench.Queues[0].Layout with { DescriptorTable = 0x1000, Ready = false });
        Driver.Write(0x30, 0);
        Assert.Equal(1u, Driver.Read(0x44));
        Assert.Equal(_bench.Queues[0].Layout.DescriptorTable, _device.Active!.Queues[0].Save().DescriptorTable);
    }

    [Fact]
    public void A_queue_that_is_not_there_has_no_size()
    {
        Driver.Write(0x30, 1);
        Assert.Equal(8u, Driver.Read(0x34));
        Driver.Write(0x30, 2);
        Assert.Equal(0u, Driver.Read(0x34));
        Driver.Write(0x30, uint.MaxValue);
        Assert.Equal(0u, Driver.Read(0x34));
        Assert.Equal(0u, Driver.Read(0x44));
    }

    [Fact]
    public void A_queue_size_past_16_bits_does_not_wrap_into_a_good_one()
    {
        Assert.True(Driver.AcceptFeatures(VirtioFeatures.Version1));
        var queue = new FakeDriver(_bench.Memory, DeviceBench.FirstRing, 16);
        Driver.SetUpQueue(0, queue.Layout);
        Driver.Write(0x38, 0x1_0010);
        Driver.AddStatus(DeviceStatus.DriverOk);
        Assert.Equal(AllSteps | DeviceStatus.NeedsReset, Driver.Status);
    }

    [Fact]
    public void The_bell_reaches_the_device_through_register_and_eventfd_alike()
    {
        _bench.Start();
        _bench.Pump();
        _device.Notified.Clear();
        Driver.Ring(1);
        _bench.Pump();
        _bench.Kick(0);
        Driver.Ring(2);
        Driver.Ring(-1);
        _bench.Pump();
        Assert.Equal([1, 0], _device.Notified);
    }

    [Fact]
    public void Buffers_made_available_before_driver_ok_are_seen_without_a_bell()
    {
        var queue = new FakeDriver(_bench.Memory, DeviceBench.FirstRing, 16);
        queue.Add(queue.Writable(1));
        Driver.Start([queue.Layout]);
        _bench.Pump();
        Assert.Equal(1, queue.UsedIdx);
    }

    [Fact]
    public void Interrupt_causes_stay_until_each_is_acknowledged()
    {
        _bench.Start();
        _bench.Queues[0].Add(_bench.Queues[0].Writable(1));
        _bench.Kick(0);
        _device.ChangeConfig(7);
        Assert.Equal(2, _bench.Line.Edges);
        Assert.Equal(3u, Driver.InterruptStatus);
        Driver.Write(0x64, 1);
        Assert.Equal(2u, Driver.InterruptStatus);
        Driver.Write(0x64, uint.MaxValue);
        Assert.Equal(0u, Driver.InterruptStatus);
    }

    [Fact]
    public void A_change_of_the_configuration_before_driver_ok_waits_for_it()
    {
        Assert.True(Driver.AcceptFeatures(VirtioFeatures.Version1));
        uint generation = Driver.Read(0xfc);
        _device.ChangeConfig(7);
        Assert.NotEqual(generation, Driver.Read(0xfc));
        Assert.Equal(0, _bench.Line.Edges);
        Driver.AddStatus(DeviceStatus.DriverOk);
        Assert.Equal(2u, Driver.InterruptStatus);
        Assert.Equal(1, _bench.Line.Edges);
    }

    [Fact]
    public void A_device_that_the_host_cannot_start_asks_for_a_reset_and_says_why()
    {
        string? warning = null;
        _device.Warning = text => warning = text;
        _device.FailsToActivate = true;
        _bench.Start();
        Assert.Equal(AllSteps | DeviceStatus.NeedsReset, Driver.Status);
        Assert.Equal(2u, Driver.InterruptStatus);
        Assert.Contains("no entropy left", warning, StringComparison.Ordinal);
        _bench.Kick(0);
        Assert.Empty(_device.Notified);
        _device.FailsToActivate = false;
        Driver.Reset();
        _bench.Start();
        Assert.Equal(AllSteps, Driver.Status);
    }

    [Fact]
    public void A_reset_forgets_features_queues_and_interrupts()
    {
        _bench.Start();
        _device.ChangeConfig(7);
        Driver.Reset();
        Assert.Equal(0u, Driver.InterruptStatus);
        Driver.Write(0x30, 0);
        Assert.Equal(0u, Driver.Read(0x44));
        Assert.True(Driver.AcceptFeatures(VirtioFeatures.Version1));
        Driver.AddStatus(DeviceStatus.DriverOk);
        Assert.Equal(VirtioFeatures.Version1, _device.Active!.Features);
        Assert.All(_device.Active.Queues, q => Assert.False(q.IsEnabled));
    }

    [Fact]
    public void After_disposal_no_bell_reaches_the_device()
    {
        _bench.Start();
        _bench.Pump();
        _device.Notified.Clear();
        Driver.Ring(0);
        _bench.Transport.Dispose();
        _bench.Pump();
        Assert.Empty(_device.Notified);
        Assert.Null(_device.Active);
    }

    [Fact]
    public void A_device_has_one_transport()
    {
        Assert.Throws<InvalidOperationException>(() => new MmioTransport(_device, _bench.Memory, _bench.Line, _bench.Loop));
    }

    [Theory]
    [InlineData("status")]
    [InlineData("features")]
    [InlineData("queue count")]
    [InlineData("queue size")]
    [InlineData("queue address")]
    public void A_damaged_state_is_not_restored(string what)
    {
        _bench.Start();
        TransportState good = _bench.Transport.Save();
        VirtqueueState first = good.Queues[0];
        TransportState bad = what switch
        {
            "status" => good with { Status = DeviceStatus.DriverOk },
            "features" => good with { DriverFeatures = ulong.MaxValue },
            "queue count" => good with { Queues = [first] },
            "queue size" => good with { Queues = [first with { Size = 5 }, good.Queues[1]] },
            _ => good with { Queues = [first with { UsedRing = ulong.MaxValue - 3 }, good.Queues[1]] },
        };
        using var other = new DeviceBench(new DrainingDevice());
        HearthException e = Assert.Throws<HearthException>(() => other.Transport.Restore(bad));
        Assert.Contains("snapshot", e.Message, StringComparison.Ordinal);
        Assert.Equal(DeviceStatus.None, other.Driver.Status);
        other.Transport.Restore(good);
        Assert.Equal(AllSteps, other.Driver.Status);
    }

    [Fact]
    public void A_restored_device_serves_what_was_pending_and_repeats_its_interrupt()
    {
        _bench.Start();
        _bench.Pump();
        _device.ChangeConfig(7);
        FakeDriver queue = _bench.Queues[0];
        queue.Add(queue.Writable(1));
        TransportState state = _bench.Transport.Save();

        using var other = new DeviceBench(new DrainingDevice());
        byte[] ram = new byte[queue.End];
        Assert.True(_bench.Memory.TryRead(new Platform.Memory.GuestAddress(0), ram));
        other.Memory.Write(new Platform.Memory.GuestAddress(0), ram);
        other.Transport.Restore(state);
        Assert.Equal(1, other.Line.Edges);
        other.Pump();
        Assert.Equal(3u, other.Driver.InterruptStatus);
        Assert.True(other.Memory.TryRead(new Platform.Memory.GuestAddress(state.Queues[0].UsedRing + 2), out ushort usedIdx));
        Assert.Equal(1, usedIdx);
    }
}
