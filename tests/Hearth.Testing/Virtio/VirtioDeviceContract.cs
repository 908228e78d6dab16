using CsCheck;
using Hearth.Platform.Memory;
using Hearth.Virtio;
using Hearth.Virtio.Transport;

namespace Hearth.Testing.Virtio;

/// <summary>
/// What every virtio device must stand, whatever it does. Each device's tests have one class derived from this.
/// </summary>
public abstract class VirtioDeviceContract
{
    private const ulong HostileArea = 0x1000;

    /// <summary>Makes a device as a machine would; called several times, one after the other.</summary>
    protected abstract VirtioDevice CreateDevice();

    [Fact]
    public void Offers_what_every_device_offers()
    {
        using var bench = new DeviceBench(CreateDevice());
        Assert.Equal(VirtioFeatures.Common, bench.Device.OfferedFeatures & VirtioFeatures.Common);
        Assert.Equal(bench.Device.OfferedFeatures, bench.Driver.OfferedFeatures());
        Assert.Equal((uint)bench.Device.Type, bench.Driver.Read(0x8));
        Assert.NotEmpty(bench.Device.Id);
    }

    [Fact]
    public void Config_reads_of_any_offset_and_length_answer()
    {
        using var bench = new DeviceBench(CreateDevice());
        foreach (int length in (ReadOnlySpan<int>)[0, 1, 2, 3, 4, 7, 8, 64, 4096])
        {
            var data = new byte[length];
            for (uint offset = 0; offset < 0x200; offset++)
            {
                Array.Fill(data, (byte)0xa5);
                bench.Device.ReadConfig(offset, data);
            }

            foreach (uint offset in (ReadOnlySpan<uint>)[0xeff, 0x1000, int.MaxValue, uint.MaxValue - 1, uint.MaxValue])
            {
                Array.Fill(data, (byte)0xa5);
                bench.Device.ReadConfig(offset, data);
                Assert.All(data, b => Assert.Equal(0, b));
            }
        }
    }

    [Fact]
    public void A_config_read_in_pieces_equals_a_read_as_a_whole()
    {
        using var bench = new DeviceBench(CreateDevice());
        var whole = new byte[256];
        bench.Device.ReadConfig(0, whole);
        var pieces = new byte[whole.Length];
        for (int i = 0; i < pieces.Length; i++)
        {
            bench.Device.ReadConfig((uint)i, pieces.AsSpan(i, 1));
        }

        Assert.Equal(whole, pieces);
    }

    [Fact]
    public void Config_writes_of_any_offset_and_length_are_survived()
    {
        using var bench = new DeviceBench(CreateDevice());
        bench.Start();
        var data = new byte[64];
        Array.Fill(data, (byte)0xff);
        foreach (int length in (ReadOnlySpan<int>)[0, 1, 2, 3, 4, 8, 64])
        {
            foreach (uint offset in (ReadOnlySpan<uint>)[0, 1, 7, 8, 33, 63, 256, 0xeff, uint.MaxValue])
            {
                bench.Device.WriteConfig(offset, data.AsSpan(0, length));
            }
        }

        bench.Pump();
    }

    [Fact]
    public void Feature_bits_that_were_not_offered_are_refused()
    {
        using var bench = new DeviceBench(CreateDevice());
        for (int bit = 0; bit < 64; bit++)
        {
            ulong feature = 1UL << bit;
            bench.Driver.Reset();
            bool accepted = bench.Driver.AcceptFeatures(VirtioFeatures.Version1 | feature);
            Assert.Equal((bench.Device.OfferedFeatures & feature) != 0, accepted);
        }
    }

    [Fact]
    public void A_reset_without_a_driver_is_harmless()
    {
        using var bench = new DeviceBench(CreateDevice());
        bench.Driver.Reset();
        bench.Driver.Reset();
        Assert.Equal(DeviceStatus.None, bench.Driver.Status);
    }

    [Fact]
    public void It_can_be_started_and_reset_again_and_again()
    {
        using var bench = new DeviceBench(CreateDevice());
        for (int life = 0; life < 20; life++)
        {
            bench.Start();
            Assert.Equal((DeviceStatus)0x0f, bench.Driver.Status);
            bench.Pump();
            bench.Driver.Reset();
            Assert.Equal(DeviceStatus.None, bench.Driver.Status);
            bench.Pump();
        }
    }

    [Fact]
    public void A_driver_without_event_idx_and_indirect_is_served()
    {
        using var bench = new DeviceBench(CreateDevice());
        bench.Start(VirtioFeatures.Version1);
        bench.Pump();
        Assert.Equal((DeviceStatus)0x0f, bench.Driver.Status);
    }

    [Fact]
    public void Queues_that_the_driver_left_out_are_let_be()
    {
        using var bench = new DeviceBench(CreateDevice());
        bench.Driver.Start([]);
        for (int i = 0; i < bench.Transport.QueueNotifiers.Count; i++)
        {
            bench.Kick(i);
        }

        Assert.Equal((DeviceStatus)0x0f, bench.Driver.Status);
    }

    [Fact]
    public void Chains_pending_at_a_reset_are_never_completed()
    {
        using var bench = new DeviceBench(CreateDevice());
        bench.Start();
        foreach (FakeDriver queue in bench.Queues)
        {
            for (int i = 0; i < 4; i++)
            {
                queue.Add(queue.Readable(new byte[64]), queue.Writable(4096));
            }
        }

        // The bells are rung, but the reset comes before the loop gets to them.
        for (int i = 0; i < bench.Queues.Count; i++)
        {
            bench.Driver.Ring(i);
        }

        bench.Driver.Reset();
        int edges = bench.Line.Edges;
        bench.Pump();
        Assert.All(bench.Queues, q => Assert.Equal(0, q.UsedIdx));
        Assert.Equal(edges, bench.Line.Edges);
        Assert.Equal(0u, bench.Driver.InterruptStatus);
    }

    [Fact]
    public void A_jump_of_the_available_index_asks_for_a_reset()
    {
        for (int queue = 0; queue < QueueCount(); queue++)
        {
            using var bench = new DeviceBench(CreateDevice());
            bench.Start();
            bench.Pump();
            bench.Queues[queue].AvailIdx += (ushort)(bench.Queues[queue].Size + 1);
            bench.Kick(queue);
            if (!PopsWhenNotified(queue))
            {
                continue;
            }

            Assert.Equal(DeviceStatus.NeedsReset, bench.Driver.Status & DeviceStatus.NeedsReset);
            Assert.Equal(2u, bench.Driver.InterruptStatus & 2);
            bench.Driver.Reset();
            bench.Start();
            Assert.Equal((DeviceStatus)0x0f, bench.Driver.Status);
        }
    }

    [Fact]
    public void Hostile_descriptors_are_survived()
    {
        // Addresses around the interesting places, lengths around the interesting sizes, and arbitrary ones.
        Gen<ulong> address = Gen.OneOf(
            Gen.ULong[HostileArea, HostileArea + 0x2000], Gen.ULong[(64UL << 20) - 0x1000, (64UL << 20) + 0x1000], Gen.ULong);
        Gen<uint> length = Gen.OneOf(Gen.UInt[0, 64], Gen.UInt[0, 0x3000], Gen.UInt, Gen.Const(16u), Gen.Const(32u), Gen.Const(4096u), Gen.Const(uint.MaxValue));
        Gen<ushort> flags = Gen.OneOf(Gen.UShort[0, 7], Gen.UShort);
        var descriptor = Gen.Select(address, length, flags, Gen.OneOf(Gen.UShort[0, 16], Gen.UShort));
        var script = Gen.Select(descriptor.Array[16], Gen.UShort[0, 20].Array[1, 12], Gen.Byte.Array[0x200]);
        script.Sample(
            (descriptors, heads, area) =>
            {
                using var bench = new DeviceBench(CreateDevice());
                bench.Start();
                bench.Memory.Write(new GuestAddress(HostileArea), area);
                for (int queue = 0; queue < bench.Queues.Count; queue++)
                {
                    FakeDriver driver = bench.Queues[queue];
                    for (ushort i = 0; i < Math.Min(driver.Size, (ushort)descriptors.Length); i++)
                    {
                        (ulong at, uint bytes, ushort f, ushort next) = descriptors[i];
                        driver.SetDescriptor(i, at, bytes, f, next);
                    }

                    foreach (ushort head in heads)
                    {
                        driver.PushHead(head);
                    }

                    bench.Kick(queue);
                }

                bench.Driver.Reset();
                bench.Pump();
                bench.Start();
                Assert.Equal((DeviceStatus)0x0f, bench.Driver.Status);
            },
            iter: 200,
            threads: 1);
    }

    [Fact]
    public void A_queue_whose_rings_lie_outside_memory_asks_for_a_reset()
    {
        using var bench = new DeviceBench(CreateDevice());
        var good = new FakeDriver(bench.Memory, DeviceBench.FirstRing, bench.Device.MaxQueueSizes[0]);
        bench.Driver.Start([good.Layout with { UsedRing = bench.Memory.End.Value - 4 }]);
        Assert.Equal(DeviceStatus.NeedsReset, bench.Driver.Status & DeviceStatus.NeedsReset);
        bench.Kick(0);
        bench.Driver.Reset();
        bench.Start();
        Assert.Equal((DeviceStatus)0x0f, bench.Driver.Status);
    }

    [Fact]
    public void An_idle_queue_costs_no_allocation()
    {
        using var bench = new DeviceBench(CreateDevice());
        bench.Start();
        for (int warmUp = 0; warmUp < 200; warmUp++)
        {
            bench.Kick(0);
        }

        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100; i++)
        {
            bench.Kick(0);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void A_running_device_is_saved_and_restored_into_a_new_one()
    {
        TransportState state;
        byte[] config = new byte[64];
        using (var bench = new DeviceBench(CreateDevice()))
        {
            bench.Start();
            bench.Pump();
            lock (bench.Device.Gate)
            {
                state = bench.Transport.Save();
                bench.Device.ReadConfig(0, config);
            }
        }

        using var restored = new DeviceBench(CreateDevice());
        restored.Transport.Restore(state);
        restored.Pump();
        Assert.Equal((DeviceStatus)0x0f, restored.Driver.Status);
        TransportState again = restored.Transport.Save();
        Assert.Equal(state.Queues, again.Queues);
        Assert.Equal(state with { Queues = again.Queues }, again);
        var configAgain = new byte[64];
        restored.Device.ReadConfig(0, configAgain);
        Assert.Equal(config, configAgain);
    }

    /// <summary>False for queues that the device fills by itself, and so does not look at when notified.</summary>
    protected virtual bool PopsWhenNotified(int queue) => true;

    private int QueueCount()
    {
        using VirtioDevice device = CreateDevice();
        return device.MaxQueueSizes.Length;
    }
}
