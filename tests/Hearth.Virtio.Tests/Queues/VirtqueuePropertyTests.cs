using CsCheck;
using Hearth.Linux.Native;
using Hearth.Platform.Memory;
using Hearth.Testing.Virtio;
using Hearth.Virtio.Queues;

namespace Hearth.Virtio.Tests.Queues;

public unsafe class VirtqueuePropertyTests
{
    private static readonly Gen<ulong> s_address = Gen.OneOf(
        Gen.ULong[QueuePair.Rings - 64, QueuePair.Rings + 1024], Gen.ULong[0, 0x4000], Gen.ULong[QueuePair.MemoryBytes - 64, QueuePair.MemoryBytes + 64], Gen.ULong);

    private static readonly Gen<uint> s_length = Gen.OneOf(Gen.UInt[0, 128], Gen.UInt[0, 16].Select(n => n * 16), Gen.UInt);

    private static readonly Gen<(ulong Address, uint Length, ushort Flags, ushort Next)> s_descriptor =
        Gen.Select(s_address, s_length, Gen.OneOf(Gen.UShort[0, 7], Gen.UShort), Gen.OneOf(Gen.UShort[0, 16], Gen.UShort));

    [Fact]
    public void Whatever_a_driver_writes_every_piece_of_every_chain_lies_in_guest_memory()
    {
        Gen.Select(s_descriptor.Array[16], s_descriptor.Array[64], Gen.UShort[0, 17].Array[0, 20], Gen.UShort, Gen.Bool).Sample(
            (table, elsewhere, heads, jump, jumps) =>
            {
                using var pair = new QueuePair();
                for (ushort i = 0; i < table.Length; i++)
                {
                    pair.Driver.SetDescriptor(i, table[i].Address, table[i].Length, table[i].Flags, table[i].Next);
                }

                for (int i = 0; i < elsewhere.Length; i++)
                {
                    pair.Driver.WriteDescriptor(
                        16UL * (uint)i, elsewhere[i].Address, elsewhere[i].Length, elsewhere[i].Flags, elsewhere[i].Next);
                }

                foreach (ushort head in heads)
                {
                    pair.Driver.PushHead(head);
                }

                if (jumps)
                {
                    pair.Driver.AvailIdx = jump;
                }

                int popped = 0;
                while (pair.Queue.TryPop(out DescriptorChain chain))
                {
                    Assert.Equal(chain.ReadableBytes, TotalInMemory(pair.Memory, chain.Readable));
                    Assert.Equal(chain.WritableBytes, TotalInMemory(pair.Memory, chain.Writable));
                    pair.Queue.AddUsed(chain.Head, chain.WritableBytes);
                    popped++;
                }

                pair.Queue.PublishUsed();
                pair.Queue.NeedsNotification();
                Assert.InRange(popped, 0, 20);
            },
            iter: 3000,
            threads: 1);
    }

    [Fact]
    public void However_a_driver_cuts_its_bytes_the_device_sees_the_same_bytes()
    {
        Gen<int[]> cuts = Gen.Int[0, 40].Array[1, 12];
        Gen.Select(cuts, cuts, Gen.Bool, Gen.UShort, Gen.UInt[0, 100]).Sample(
            (readable, writable, indirect, start, skip) =>
            {
                using var pair = new QueuePair(size: 32, startIndex: start);
                byte[] sent = [.. Enumerable.Range(0, readable.Sum()).Select(i => (byte)(i * 7))];
                var buffers = new List<FakeBuffer>();
                int at = 0;
                foreach (int length in readable)
                {
                    buffers.Add(pair.Driver.Readable(sent.AsSpan(at, length)));
                    at += length;
                }

                FakeBuffer[] answers = Array.ConvertAll(writable, length => pair.Driver.Writable((uint)length));
                buffers.AddRange(answers);
                FakeBuffer[] all = [.. buffers];
                _ = indirect ? pair.Driver.AddIndirect(all) : pair.Driver.Add(all);

                Assert.True(pair.Queue.TryPop(out DescriptorChain chain));
                var seen = new byte[chain.ReadableBytes];
                Assert.True(chain.TryRead(0, seen));
                Assert.Equal(sent, seen);
                byte[] answer = [.. Enumerable.Range(0, writable.Sum()).Select(i => (byte)(i * 5 + 1))];
                Assert.True(chain.TryWrite(0, answer));
                Assert.Equal(answer, answers.SelectMany(pair.Driver.Bytes));

                // The iovecs name exactly the bytes from `skip` on.
                Span<iovec> iovecs = stackalloc iovec[32];
                int count = chain.FillReadable(iovecs, skip);
                var gathered = new List<byte>();
                foreach (ref readonly iovec piece in iovecs[..count])
                {
                    gathered.AddRange(new ReadOnlySpan<byte>(piece.iov_base, (int)piece.iov_len));
                }

                Assert.Equal(sent.Skip((int)skip), gathered);
            },
            iter: 1000,
            threads: 1);
    }

    [Fact]
    public void Chains_come_back_in_order_across_every_wrap_of_the_indices()
    {
        using var pair = new QueuePair(size: 8, startIndex: 65530);
        int taken = 0;
        for (int round = 0; round < 70_000; round++)
        {
            ushort head = pair.Driver.Add(pair.Driver.Writable(4));
            Assert.True(pair.Queue.TryPop(out DescriptorChain chain));
            Assert.Equal(head, chain.Head);
            pair.Queue.AddUsed(chain.Head, (uint)round);
            pair.Queue.PublishUsed();
            Assert.Equal(new UsedElement(head, (uint)round), pair.Driver.TakeUsed());
            taken++;
        }

        Assert.Equal(70_000, taken);
    }

    [Fact]
    public void An_event_is_crossed_exactly_when_it_lies_in_what_was_added()
    {
        // The model counts in steps of one, where vring_need_event subtracts in 16 bits.
        static bool Model(ushort wanted, ushort now, ushort before)
        {
            for (ushort i = before; i != now; i++)
            {
                if (i == wanted)
                {
                    return true;
                }
            }

            return false;
        }

        Gen.Select(Gen.UShort, Gen.UShort[0, 300], Gen.Int[-320, 320]).Sample(
            (before, added, distance) =>
            {
                var now = (ushort)(before + added);
                var wanted = (ushort)(before + distance);
                Assert.Equal(Model(wanted, now, before), Virtqueue.CrossesEvent(wanted, now, before));
            },
            iter: 20_000);
    }

    [Fact]
    public void No_wake_up_is_lost_between_a_driver_and_a_device_that_sleep_by_turns()
    {
        // 0: the driver adds a chain. 1: the device works if it was rung. 2: the driver works if it was interrupted.
        // In whatever order, once both have had their turns, nothing may be left lying.
        Gen.Select(Gen.Int[0, 2].Array[1, 200], Gen.Bool, Gen.UShort).Sample(
            (steps, eventIdx, start) =>
            {
                ulong features = VirtioFeatures.Version1 | (eventIdx ? VirtioFeatures.RingEventIdx : 0);
                using var pair = new QueuePair(size: 8, features, start);
                bool rung = false;
                bool interrupted = false;
                int served = 0;
                int added = 0;
                int taken = 0;
                void Device()
                {
                    if (!rung)
                    {
                        return;
                    }

                    rung = false;
                    do
                    {
                        pair.Queue.DisableNotifications();
                        while (pair.Queue.TryPop(out DescriptorChain chain))
                        {
                            pair.Queue.AddUsed(chain.Head, 0);
                            served++;
                        }

                        pair.Queue.PublishUsed();
                        interrupted |= pair.Queue.NeedsNotification();
                    }
                    while (!pair.Queue.TryEnableNotifications());
                }

                void Driver()
                {
                    if (!interrupted)
                    {
                        return;
                    }

                    interrupted = false;
                    while (pair.Driver.TryTakeUsed(out _))
                    {
                        taken++;
                    }

                    pair.Driver.UsedEvent = pair.Driver.SeenUsed;
                }

                foreach (int step in steps)
                {
                    switch (step)
                    {
                        case 0 when pair.Driver.FreeDescriptors > 0:
                            pair.Driver.Add(pair.Driver.Writable(1));
                            added++;
                            rung |= pair.Driver.NeedsKick();
                            break;
                        case 1:
                            Device();
                            break;
                        case 2:
                            Driver();
                            break;
                    }
                }

                Device();
                Driver();
                Assert.Equal((added, added), (served, taken));
            },
            iter: 2000,
            threads: 1);
    }

    [Fact]
    public void A_driver_that_wants_an_interrupt_every_nth_chain_gets_just_that()
    {
        Gen.Select(Gen.UShort[1, 8], Gen.UShort).Sample(
            (every, start) =>
            {
                using var pair = new QueuePair(size: 16, startIndex: start);
                pair.Driver.UsedEvent = (ushort)(start + every - 1);
                for (int i = 1; i <= 40; i++)
                {
                    pair.Driver.Add(pair.Driver.Writable(1));
                    Assert.True(pair.Queue.TryPop(out DescriptorChain chain));
                    pair.Queue.AddUsed(chain.Head, 0);
                    pair.Queue.PublishUsed();
                    bool expected = i % every == 0 || (i == 1 && start != 0);
                    Assert.Equal(expected, pair.Queue.NeedsNotification());
                    pair.Driver.TakeUsed();
                    if (i % every == 0)
                    {
                        pair.Driver.UsedEvent = (ushort)(start + i + every - 1);
                    }
                }
            },
            iter: 300,
            threads: 1);
    }

    private static uint TotalInMemory(GuestMemory memory, ReadOnlySpan<iovec> pieces)
    {
        Assert.True(memory.TryGetPointer(new GuestAddress(0), QueuePair.MemoryBytes, out byte* start));
        ulong total = 0;
        foreach (ref readonly iovec piece in pieces)
        {
            ulong offset = (ulong)((byte*)piece.iov_base - start);
            Assert.NotEqual(0u, piece.iov_len);
            Assert.True(offset < QueuePair.MemoryBytes && piece.iov_len <= QueuePair.MemoryBytes - offset);
            total += piece.iov_len;
        }

        return checked((uint)total);
    }
}
