using Hearth.Linux;
using Hearth.Platform.Bus;

namespace Hearth.Platform.Tests;

public class AddressBusTests
{
    [Fact]
    public void An_access_reaches_the_device_that_owns_it_with_an_offset()
    {
        var bus = new AddressBus();
        var low = new Recorder();
        var high = new Recorder();
        bus.Insert(0x100, 0x10, low);
        bus.Insert(0x200, 0x10, high);
        Assert.True(bus.Write(0x20f, [7]));
        Assert.Equal([(0xfUL, (byte)7)], high.Writes);
        Assert.Empty(low.Writes);
    }

    [Theory]
    [InlineData(0xffUL, 1)]
    [InlineData(0x110UL, 1)]
    [InlineData(0x10fUL, 2)]
    public void A_read_outside_every_device_gives_all_ones(ulong address, int length)
    {
        var bus = new AddressBus();
        bus.Insert(0x100, 0x10, new Recorder());
        byte[] data = new byte[length];
        Assert.False(bus.Read(address, data));
        Assert.All(data, b => Assert.Equal(0xff, b));
    }

    [Theory]
    [InlineData(0x0f8UL, 0x9UL)]
    [InlineData(0x10fUL, 0x1UL)]
    [InlineData(0x0UL, 0x1000UL)]
    [InlineData(0x100UL, 0x0UL)]
    [InlineData(ulong.MaxValue, 0x2UL)]
    public void Overlapping_empty_and_wrapping_ranges_are_refused(ulong start, ulong length)
    {
        var bus = new AddressBus();
        bus.Insert(0x100, 0x10, new Recorder());
        Assert.Throws<HearthException>(() => bus.Insert(start, length, new Recorder()));
    }

    [Fact]
    public void A_removed_range_is_free_again()
    {
        var bus = new AddressBus();
        bus.Insert(0x100, 0x10, new Recorder());
        Assert.True(bus.Remove(0x100));
        Assert.False(bus.Remove(0x100));
        Assert.False(bus.Write(0x100, [1]));
        bus.Insert(0x100, 0x10, new Recorder());
    }

    private sealed class Recorder : IBusDevice
    {
        public List<(ulong Offset, byte Value)> Writes { get; } = [];

        public void Read(ulong offset, Span<byte> data) => data.Clear();

        public void Write(ulong offset, ReadOnlySpan<byte> data) => Writes.Add((offset, data[0]));
    }
}
