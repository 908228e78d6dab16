using CsCheck;
using Hearth.Testing.Virtio;
using Hearth.Virtio.Transport;

namespace Hearth.Virtio.Tests.Transport;

public class MmioTransportPropertyTests
{
    private const int StatusRegister = 0x70;

    private static readonly int[] s_registers =
    [
        0x10, 0x14, 0x20, 0x24, 0x30, 0x34, 0x38, 0x44, 0x50, 0x60, 0x64, 0x70, 0x70, 0x70, 0x80, 0x84, 0x90, 0x94, 0xa0, 0xa4, 0xac, 0xc0,
        0xfc, 0x100,
    ];

    // Values a driver would send, mixed with any: random words alone would never get past the first step.
    private static readonly Gen<uint> s_value = Gen.OneOf(
        Gen.UInt[0, 20], Gen.Const(1u), Gen.Const(3u), Gen.Const(0xbu), Gen.Const(0xfu), Gen.UInt[0x10, 0x20].Select(v => v << 12), Gen.UInt);

    private static readonly Gen<(int Register, uint Value)> s_write = Gen.Select(Gen.Int[0, s_registers.Length - 1].Select(i => s_registers[i]), s_value);

    [Fact]
    public void Accesses_of_any_address_width_and_value_are_survived()
    {
        Gen<(ulong Offset, byte[] Data, bool IsWrite)> access =
            Gen.Select(Gen.OneOf(Gen.ULong[0, 0x120], Gen.ULong[0xff0, 0x1010], Gen.ULong), Gen.Byte.Array[0, 16], Gen.Bool);
        access.Array[1, 300].Sample(
            accesses =>
            {
                using var bench = new DeviceBench(new DrainingDevice(), memoryBytes: 1 << 20);
                foreach ((ulong offset, byte[] data, bool isWrite) in accesses)
                {
                    if (isWrite)
                    {
                        bench.Transport.Write(offset, data);
                    }
                    else
                    {
                        bench.Transport.Read(offset, data);
                    }
                }

                bench.Pump();
            },
            iter: 500,
            threads: 1);
    }

    [Fact]
    public void Whatever_a_driver_writes_the_status_is_one_a_device_may_have()
    {
        int reachedDriverOk = 0;
        // A good start in half the runs, then anything.
        Gen.Select(Gen.Bool, s_write.Array[1, 60]).Sample(
            (start, writes) =>
            {
                var device = new DrainingDevice();
                using var bench = new DeviceBench(device, memoryBytes: 16 << 20);
                if (start)
                {
                    Assert.True(bench.Driver.AcceptFeatures(VirtioFeatures.Version1));
                }

                DeviceStatus before = bench.Driver.Status;
                foreach ((int register, uint value) in writes)
                {
                    bench.Driver.Write((uint)register, value);
                    bench.Pump();
                    DeviceStatus now = bench.Driver.Status;
                    CheckOrder(now);
                    if (register == StatusRegister && value == 0)
                    {
                        Assert.Equal(DeviceStatus.None, now);
                    }
                    else
                    {
                        Assert.Equal(before, now & before);
                    }

                    if (register != StatusRegister)
                    {
                        Assert.Equal(before & ~DeviceStatus.NeedsReset, now & ~DeviceStatus.NeedsReset);
                    }

                    bool mustWork = (now & (DeviceStatus.DriverOk | DeviceStatus.NeedsReset | DeviceStatus.Failed)) == DeviceStatus.DriverOk;
                    if (mustWork)
                    {
                        reachedDriverOk++;
                        Assert.NotNull(device.Active);
                        Assert.Equal(0UL, device.Active.Features & ~device.OfferedFeatures);
                        Assert.True(device.Active.HasFeature(VirtioFeatures.Version1));
                    }
                    else if ((now & DeviceStatus.DriverOk) == 0)
                    {
                        Assert.Null(device.Active);
                    }

                    before = now;
                }
            },
            iter: 2000,
            threads: 1);
        Assert.NotEqual(0, reachedDriverOk);
    }

    private static void CheckOrder(DeviceStatus status)
    {
        if ((status & DeviceStatus.DriverOk) != 0)
        {
            Assert.NotEqual(DeviceStatus.None, status & DeviceStatus.FeaturesOk);
        }

        if ((status & DeviceStatus.FeaturesOk) != 0)
        {
            Assert.NotEqual(DeviceStatus.None, status & DeviceStatus.Driver);
        }

        if ((status & DeviceStatus.Driver) != 0)
        {
            Assert.NotEqual(DeviceStatus.None, status & DeviceStatus.Acknowledge);
        }
    }
}
