using Hearth.Linux.Native;
using Hearth.Platform.Memory;
using Hearth.Testing.Virtio;
using Hearth.Virtio.Queues;

namespace Hearth.Virtio.Tests.Queues;

public unsafe class VirtqueueTests
{
    [Fact]
    public void A_direct_chain_is_popped_read_written_and_returned()
    {
        using var pair = new QueuePair();
        FakeBuffer answer = pair.Driver.Writable(8);
        ushort head = pair.Driver.Add(pair.Driver.Readable("hello "u8), pair.Driver.Readable("world"u8), answer);

        Assert.True(pair.Queue.TryPop(out DescriptorChain chain));
        Assert.Equal((head, 11u, 8u), (chain.Head, chain.ReadableBytes, chain.WritableBytes));
        Span<byte> text = stackalloc byte[11];
        Assert.True(chain.TryRead(0, text));
        Assert.Equal("hello world"u8, text);
        Assert.True(chain.TryWrite(2, "abc"u8));
        Assert.True(chain.TryWriteLast(0x7f));
        pair.Queue.AddUsed(chain.Head, 8);
        Assert.Equal(0, pair.Driver.UsedIdx);
        pair.Queue.PublishUsed();

        Assert.Equal(new UsedElement(head, 8), pair.Driver.TakeUsed());
        Assert.Equal([0, 0, (byte)'a', (byte)'b', (byte)'c', 0, 0, 0x7f], pair.Driver.Bytes(answer));
        Assert.False(pair.Queue.TryPop(out _));
    }

    [Fact]
    public void A_read_or_write_past_the_end_is_refused_whole()
    {
        using var pair = new QueuePair();
        FakeBuffer answer = pair.Driver.Writable(4);
        pair.Driver.Add(pair.Driver.Readable("1234"u8), answer);
        Assert.True(pair.Queue.TryPop(out DescriptorChain chain));
        Assert.False(chain.TryRead(1, stackalloc byte[4]));
        Assert.False(chain.TryRead(uint.MaxValue, stackalloc byte[4]));
        Assert.False(chain.TryRead(0, out ulong _));
        Assert.False(chain.TryWrite(1, "abcd"u8));
        Assert.False(chain.TryWrite(uint.MaxValue, "abcd"u8));
        Assert.Equal(new byte[4], pair.Driver.Bytes(answer));
        Assert.True(chain.TryRead(4, []));
    }

    [Fact]
    public void An_indirect_table_is_a_chain_like_any_other()
    {
        using var pair = new QueuePair();
        ushort head = pair.Driver.AddIndirect(pair.Driver.Readable("ab"u8), pair.Driver.Readable("cd"u8), pair.Driver.Writable(1));
        Assert.True(pair.Queue.TryPop(out DescriptorChain chain));
        Assert.Equal((head, 4u, 1u), (chain.Head, chain.ReadableBytes, chain.WritableBytes));
        Assert.True(chain.TryRead(0, out uint text));
        Assert.Equal(0x64636261u, text);
    }

    [Fact]
    public void Direct_descriptors_may_end_in_an_indirect_one()
    {
        using var pair = new QueuePair();
        FakeDriver driver = pair.Driver;
        FakeBuffer first = driver.Readable("ab"u8);
        FakeBuffer second = driver.Writable(100);
        ulong table = driver.Allocate(16);
        driver.WriteDescriptor(table, second.Address, second.Length, FakeDriver.Write, 0);
        driver.SetDescriptor(0, first.Address, first.Length, FakeDriver.Next, 1);
        // The write flag of an indirect descriptor means nothing (virtio 1.2 §2.7.5.3.2).
        driver.SetDescriptor(1, table, 16, FakeDriver.Indirect | FakeDriver.Write, 0);
        driver.PushHead(0);
        Assert.True(pair.Queue.TryPop(out DescriptorChain chain));
        Assert.Equal((2u, 100u), (chain.ReadableBytes, chain.WritableBytes));
    }

    [Fact]
    public void Empty_descriptors_are_left_out_and_neighbours_joined()
    {
        using var pair = new QueuePair();
        ulong at = pair.Driver.Allocate(64);
        pair.Driver.Add(
            new FakeBuffer(ulong.MaxValue, 0, false),
            new FakeBuffer(at, 16, false),
            new FakeBuffer(at + 16, 16, false),
            new FakeBuffer(at + 32, 8, true),
            new FakeBuffer(at + 40, 8, true),
            new FakeBuffer(0, 0, true));
        Assert.True(pair.Queue.TryPop(out DescriptorChain chain));
        Assert.Equal((1, 1), (chain.Readable.Length, chain.Writable.Length));
        Assert.Equal((32u, 16u), (chain.ReadableBytes, chain.WritableBytes));
    }

    [Fact]
    public void Iovecs_skip_take_and_stop_where_they_are_told()
    {
        using var pair = new QueuePair();
        FakeBuffer a = pair.Driver.Writable(10);
        FakeBuffer b = pair.Driver.Writable(10);
        FakeBuffer c = pair.Driver.Writable(10);
        pair.Driver.Add(a, b, c);
        Assert.True(pair.Queue.TryPop(out DescriptorChain chain));
        Span<iovec> iovecs = stackalloc iovec[4];
        Assert.Equal(2, chain.FillWritable(iovecs, skipBytes: 15, takeBytes: 10));
        Assert.Equal((5, 5), ((int)iovecs[0].iov_len, (int)iovecs[1].iov_len));
        Assert.True(pair.Memory.TryGetPointer(new GuestAddress(b.Address + 5), 5, out byte* expected));
        Assert.True(expected == iovecs[0].iov_base);
        Assert.Equal(2, chain.FillWritable(iovecs[..2]));
        Assert.Equal(0, chain.FillWritable(iovecs, skipBytes: 30));
        Assert.Equal(0, chain.FillReadable(iovecs));
    }

    [Fact]
    public void An_undone_pop_comes_again()
    {
        using var pair = new QueuePair();
        ushort first = pair.Driver.Add(pair.Driver.Writable(1));
        ushort second = pair.Driver.Add(pair.Driver.Writable(1));
        Assert.True(pair.Queue.TryPop(out DescriptorChain chain));
        pair.Queue.UndoPop();
        Assert.True(pair.Queue.TryPop(out chain));
        Assert.Equal(first, chain.Head);
        Assert.True(pair.Queue.TryPop(out chain));
        Assert.Equal(second, chain.Head);
        pair.Queue.UndoPop();
        Assert.False(pair.Queue.TryEnableNotifications());
        Assert.True(pair.Queue.TryPop(out chain));
        Assert.Equal(second, chain.Head);
    }

    public static TheoryData<string> MalformedChains => [.. s_malformed.Keys];

    private static readonly Dictionary<string, Action<FakeDriver>> s_malformed = new()
    {
        ["loops"] = d =>
        {
            d.SetDescriptor(0, 0x1000, 1, FakeDriver.Next, 1);
            d.SetDescriptor(1, 0x1000, 1, FakeDriver.Next, 0);
        },
        ["goes on outside the table"] = d => d.SetDescriptor(0, 0x1000, 1, FakeDriver.Next, 16),
        ["lies outside memory"] = d => d.SetDescriptor(0, QueuePair.MemoryBytes - 1, 2, 0, 0),
        ["wraps around the address space"] = d => d.SetDescriptor(0, ulong.MaxValue, 2, 0, 0),
        ["is readable after writable"] = d =>
        {
            d.SetDescriptor(0, 0x1000, 1, FakeDriver.Next | FakeDriver.Write, 1);
            d.SetDescriptor(1, 0x1000, 1, 0, 0);
        },
        ["has an indirect table of odd length"] = d => d.SetDescriptor(0, 0x1000, 17, FakeDriver.Indirect, 0),
        ["has an empty indirect table"] = d => d.SetDescriptor(0, 0x1000, 0, FakeDriver.Indirect, 0),
        ["has an indirect table too long"] = d => d.SetDescriptor(0, 0x1000, 16 * (Virtqueue.MaxSegments + 1), FakeDriver.Indirect, 0),
        ["has an indirect table outside memory"] = d => d.SetDescriptor(0, QueuePair.MemoryBytes, 16, FakeDriver.Indirect, 0),
        ["goes on after an indirect table"] = d => d.SetDescriptor(0, 0x1000, 16, FakeDriver.Indirect | FakeDriver.Next, 1),
        ["nests indirect tables"] = d =>
        {
            d.SetDescriptor(0, 0x1000, 16, FakeDriver.Indirect, 0);
            d.WriteDescriptor(0x1000, 0x2000, 16, FakeDriver.Indirect, 0);
        },
        ["loops in an indirect table"] = d =>
        {
            d.SetDescriptor(0, 0x1000, 32, FakeDriver.Indirect, 0);
            d.WriteDescriptor(0x1000, 0x2000, 1, FakeDriver.Next, 1);
            d.WriteDescriptor(0x1010, 0x2000, 1, FakeDriver.Next, 0);
        },
        ["leaves an indirect table"] = d =>
        {
            d.SetDescriptor(0, 0x1000, 16, FakeDriver.Indirect, 0);
            d.WriteDescriptor(0x1000, 0x2000, 1, FakeDriver.Next, 1);
        },
        ["is 4 GiB long or more"] = d =>
        {
            d.SetDescriptor(0, 0x10000, 16 * 1024, FakeDriver.Indirect, 0);
            for (ushort i = 0; i < 1024; i++)
            {
                d.WriteDescriptor(0x10000 + (16UL * i), 0x1000, 0x40_0000, (ushort)(i == 1023 ? 0 : FakeDriver.Next), (ushort)(i + 1));
            }
        },
    };

    [Theory]
    [MemberData(nameof(MalformedChains))]
    public void A_chain_comes_back_unused_if_it(string defect)
    {
        using var pair = new QueuePair();
        s_malformed[defect](pair.Driver);
        pair.Driver.PushHead(0);
        Assert.False(pair.Queue.TryPop(out _));
        pair.Queue.PublishUsed();
        Assert.Equal(1, pair.Queue.MalformedChains);
        Assert.Equal(1, pair.Driver.UsedIdx);
        Assert.True(pair.Memory.TryRead(new GuestAddress(pair.Driver.Layout.UsedRing + 4), out ulong element));
        Assert.Equal(0UL, element);
        Assert.Empty(pair.Faults);
    }

    [Fact]
    public void An_indirect_table_is_malformed_where_it_was_not_negotiated()
    {
        using var pair = new QueuePair(features: VirtioFeatures.Version1);
        pair.Driver.AddIndirect(pair.Driver.Writable(1));
        Assert.False(pair.Queue.TryPop(out _));
        Assert.Equal(1, pair.Queue.MalformedChains);
    }

    [Fact]
    public void A_good_chain_after_a_malformed_one_is_served()
    {
        using var pair = new QueuePair();
        pair.Driver.SetDescriptor(15, ulong.MaxValue, 1, 0, 0);
        pair.Driver.PushHead(15);
        ushort head = pair.Driver.Add(pair.Driver.Writable(1));
        Assert.True(pair.Queue.TryPop(out DescriptorChain chain));
        Assert.Equal(head, chain.Head);
    }

    [Fact]
    public void A_chain_as_long_as_the_table_is_no_loop()
    {
        using var pair = new QueuePair(size: 4);
        pair.Driver.Add(pair.Driver.Readable("a"u8), pair.Driver.Readable("b"u8), pair.Driver.Writable(1), pair.Driver.Writable(1));
        Assert.True(pair.Queue.TryPop(out DescriptorChain chain));
        Assert.Equal((2u, 2u), (chain.ReadableBytes, chain.WritableBytes));
    }

    [Fact]
    public void An_index_that_jumps_further_than_the_queue_is_long_breaks_it_once()
    {
        using var pair = new QueuePair(size: 16);
        pair.Driver.Add(pair.Driver.Writable(1));
        pair.Driver.AvailIdx = 17;
        Assert.False(pair.Queue.TryPop(out _));
        Assert.False(pair.Queue.TryPop(out _));
        Assert.Equal([QueueFault.AvailIndexJump], pair.Faults);
        Assert.True(pair.Queue.TryEnableNotifications());
        pair.Queue.AddUsed(0, 0);
        pair.Queue.PublishUsed();
        Assert.Equal(0, pair.Driver.UsedIdx);
    }

    [Fact]
    public void A_head_that_the_table_does_not_have_breaks_the_queue()
    {
        using var pair = new QueuePair(size: 16);
        pair.Driver.PushHead(16);
        Assert.False(pair.Queue.TryPop(out _));
        Assert.Equal(QueueFault.BadHead, pair.Queue.Fault);
    }

    [Fact]
    public void A_disabled_queue_is_always_empty()
    {
        using var memory = GuestMemory.Create(4096);
        Assert.Equal(QueueFault.None, Virtqueue.TryCreate(memory, new VirtqueueState { Size = 256 }, 256, 0, null, out Virtqueue? queue));
        Assert.False(queue!.IsEnabled);
        Assert.False(queue.TryPop(out _));
        queue.DisableNotifications();
        Assert.True(queue.TryEnableNotifications());
        queue.AddUsed(0, 1);
        queue.PublishUsed();
        Assert.False(queue.NeedsNotification());
    }

    [Theory]
    [InlineData(0, 0x1000, 0x2000, 0x3000, QueueFault.BadSize)]
    [InlineData(3, 0x1000, 0x2000, 0x3000, QueueFault.BadSize)]
    [InlineData(512, 0x1000, 0x2000, 0x3000, QueueFault.BadSize)]
    [InlineData(16, 0x1008, 0x2000, 0x3000, QueueFault.Misaligned)]
    [InlineData(16, 0x1000, 0x2001, 0x3000, QueueFault.Misaligned)]
    [InlineData(16, 0x1000, 0x2000, 0x3002, QueueFault.Misaligned)]
    [InlineData(16, 0xff10, 0x2000, 0x3000, QueueFault.OutsideMemory)]
    [InlineData(16, 0x1000, 0xffdc, 0x3000, QueueFault.OutsideMemory)]
    [InlineData(16, 0x1000, 0x2000, 0xff7c, QueueFault.OutsideMemory)]
    [InlineData(16, -16, 0x2000, 0x3000, QueueFault.OutsideMemory)]
    [InlineData(16, 0xff00, 0xffda, 0xff78, QueueFault.None)]
    [InlineData(1, 0x1000, 0x2000, 0x3000, QueueFault.None)]
    public void A_layout_is_checked_before_it_is_used(int size, long descriptors, long avail, long used, QueueFault expected)
    {
        using var memory = GuestMemory.Create(0x1_0000);
        var layout = new VirtqueueState
        {
            Ready = true,
            Size = (ushort)size,
            DescriptorTable = (ulong)descriptors,
            AvailRing = (ulong)avail,
            UsedRing = (ulong)used,
        };
        Assert.Equal(expected, Virtqueue.TryCreate(memory, layout, 256, VirtioFeatures.Common, null, out Virtqueue? queue));
        Assert.Equal(expected == QueueFault.None, queue is not null);
    }

    [Fact]
    public void A_saved_queue_goes_on_where_it_was()
    {
        using var pair = new QueuePair(startIndex: 65534);
        for (int i = 0; i < 3; i++)
        {
            pair.Driver.Add(pair.Driver.Writable(1));
        }

        Assert.True(pair.Queue.TryPop(out DescriptorChain chain));
        pair.Queue.AddUsed(chain.Head, 1);
        pair.Queue.PublishUsed();
        VirtqueueState state = pair.Queue.Save();
        Assert.Equal((65535, 65535), (state.NextAvail, state.NextUsed));

        Assert.Equal(QueueFault.None, Virtqueue.TryCreate(pair.Memory, state, 16, VirtioFeatures.Common, null, out Virtqueue? restored));
        while (restored!.TryPop(out chain))
        {
            restored.AddUsed(chain.Head, 1);
        }

        restored.PublishUsed();
        Assert.True(restored.NeedsNotification());
        Assert.Equal(1, pair.Driver.UsedIdx);
        for (int i = 0; i < 3; i++)
        {
            pair.Driver.TakeUsed();
        }
    }

    [Fact]
    public void The_steady_state_allocates_nothing()
    {
        using var pair = new QueuePair(size: 64);
        FakeBuffer buffer = pair.Driver.Writable(64);
        pair.Driver.SetDescriptor(0, buffer.Address, buffer.Length, FakeDriver.Write, 0);
        void Round()
        {
            pair.Driver.PushHead(0);
            pair.Queue.DisableNotifications();
            while (pair.Queue.TryPop(out DescriptorChain chain))
            {
                chain.TryWriteLast(1);
                pair.Queue.AddUsed(chain.Head, 1);
            }

            pair.Queue.TryEnableNotifications();
            pair.Queue.PublishUsed();
            pair.Queue.NeedsNotification();
        }

        for (int warmUp = 0; warmUp < 1000; warmUp++)
        {
            Round();
        }

        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100_000; i++)
        {
            Round();
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }
}
