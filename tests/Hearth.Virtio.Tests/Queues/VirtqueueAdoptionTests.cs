using CsCheck;
using Hearth.Platform.Memory;
using Hearth.Testing.Virtio;
using Hearth.Virtio.Queues;

namespace Hearth.Virtio.Tests.Queues;

/// <summary>A queue whose other process stopped, or died with chains in its hands.</summary>
public class VirtqueueAdoptionTests
{
    private const ushort Size = 8;

    [Fact]
    public void What_a_dead_process_held_comes_out_once_and_nothing_else()
    {
        // Each step: how many chains the driver adds, how many the process gives back, in order.
        Gen.Select(Gen.Int[0, 9], Gen.Int[0, 9]).Array[0, 200].Sample(
            steps =>
            {
                using var memory = GuestMemory.Create(1 << 20);
                var driver = new FakeDriver(memory, 0x1000, Size);
                Virtqueue process = Open(memory, driver.Layout);
                var held = new List<ushort>();
                foreach ((int adds, int uses) in steps)
                {
                    for (int i = 0; i < adds && driver.FreeDescriptors > 0; i++)
                    {
                        driver.Add(driver.Writable(16));
                        Assert.True(process.TryPop(out DescriptorChain chain));
                        held.Add(chain.Head);
                    }

                    for (int i = 0; i < uses && held.Count > 0; i++)
                    {
                        process.AddUsed(held[0], 0);
                        process.PublishUsed();
                        held.RemoveAt(0);
                        driver.TakeUsed();
                    }
                }

                // One that the process never saw.
                if (driver.FreeDescriptors > 0)
                {
                    held.Add(driver.Add(driver.Writable(16)));
                }

                Virtqueue heir = Open(memory, driver.Layout);
                heir.AdoptOrphaned();
                var found = new List<ushort>();
                while (heir.TryPop(out DescriptorChain chain))
                {
                    found.Add(chain.Head);
                    heir.AddUsed(chain.Head, 0);
                }

                heir.PublishUsed();
                Assert.Equal(held.Order(), found.Order());
                Assert.Equal(held.Count > 0, heir.NeedsNotification());
                while (driver.Outstanding > 0)
                {
                    driver.TakeUsed();
                }

                driver.Add(driver.Writable(16));
                Assert.True(heir.TryPop(out _));
            },
            threads: 1);
    }

    [Theory]
    [InlineData(256, 4)]
    [InlineData(1024, 8)]
    public void A_process_that_answered_out_of_order_and_rested_now_and_then_is_seen_through(int size, int depth)
    {
        for (int seed = 0; seed < 50; seed++)
        {
            var random = new Random(seed);
            var free = new Stack<ushort>(Enumerable.Range(0, size).Select(static i => (ushort)i));
            List<ushort> made = [], done = [], held = [];
            int total = random.Next(1, 3 * size);
            while (made.Count < total)
            {
                for (int target = random.Next(depth + 1); held.Count < target;)
                {
                    made.Add(free.Pop());
                    held.Add(made[^1]);
                }

                for (int uses = random.Next(held.Count + 1); uses > 0; uses--)
                {
                    ushort head = held[random.Next(held.Count)];
                    held.Remove(head);
                    free.Push(head);
                    done.Add(head);
                }
            }

            // The rings keep the last round, and zeroes before the first.
            int from = made.Count - size;
            ushort[] found = Virtqueue.FindOrphans(Window(made, from, made.Count), Window(done, from, done.Count), size);
            Assert.Equal(held.Order(), found.Order());
        }

        static ushort[] Window(List<ushort> all, int from, int to) => [.. Enumerable.Range(from, to - from).Select(i => i < 0 ? (ushort)0 : all[i])];
    }

    [Fact]
    public void Rings_of_any_content_are_survived()
    {
        Gen.Select(Gen.Byte.Array[16 * Size], Gen.UShort[0, 9].Array[Size + 3], Gen.UInt[0, 9].Array[2 * Size], Gen.UShort[0, 20], Gen.UShort).Sample(
            (descriptors, avail, used, ahead, usedIdx) =>
            {
                using var memory = GuestMemory.Create(1 << 20);
                var driver = new FakeDriver(memory, 0x1000, Size);
                VirtqueueState layout = driver.Layout;
                memory.Write(new GuestAddress(layout.DescriptorTable), descriptors);
                for (int i = 0; i < avail.Length; i++)
                {
                    memory.Write(new GuestAddress(layout.AvailRing + (2 * (ulong)i)), avail[i]);
                }

                for (int i = 0; i < used.Length; i++)
                {
                    memory.Write(new GuestAddress(layout.UsedRing + 4 + (4 * (ulong)i)), used[i]);
                }

                driver.UsedIdx = usedIdx;
                driver.AvailIdx = (ushort)(usedIdx + ahead);
                Virtqueue heir = Open(memory, layout);
                heir.AdoptOrphaned();
                int popped = 0;
                while (heir.TryPop(out _))
                {
                    Assert.True(++popped <= Size);
                }

                Assert.True(ahead <= Size || heir.Fault == QueueFault.AvailIndexJump);
            },
            threads: 1);
    }

    [Fact]
    public void A_queue_that_came_back_in_good_order_goes_on_where_it_was_left()
    {
        using var memory = GuestMemory.Create(1 << 20);
        var driver = new FakeDriver(memory, 0x1000, Size);
        Virtqueue process = Open(memory, driver.Layout);
        driver.Add(driver.Writable(16));
        Assert.True(process.TryPop(out DescriptorChain done));
        process.AddUsed(done.Head, 0);
        process.PublishUsed();
        ushort next = driver.Add(driver.Writable(16));
        Virtqueue heir = Open(memory, driver.Layout);
        heir.Adopt(1);
        Assert.Equal(driver.Layout with { NextAvail = 1, NextUsed = 1 }, heir.Save());
        Assert.True(heir.TryPop(out DescriptorChain chain));
        Assert.Equal(next, chain.Head);
    }

    [Fact]
    public void A_queue_that_the_driver_left_out_has_nothing_to_adopt()
    {
        using var memory = GuestMemory.Create(1 << 20);
        Virtqueue queue = Open(memory, new VirtqueueState());
        queue.AdoptOrphaned();
        Assert.False(queue.TryPop(out _));
    }

    private static Virtqueue Open(GuestMemory memory, VirtqueueState layout)
    {
        Assert.Equal(QueueFault.None, Virtqueue.TryCreate(memory, layout, Size, VirtioFeatures.Common, null, out Virtqueue? queue));
        return queue!;
    }
}
