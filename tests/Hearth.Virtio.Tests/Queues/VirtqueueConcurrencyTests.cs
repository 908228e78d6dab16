using System.Diagnostics;
using Hearth.Testing.Virtio;
using Hearth.Virtio.Queues;

namespace Hearth.Virtio.Tests.Queues;

/// <summary>
/// Driver and device on two threads, with flags for bell and interrupt, so that the few nanoseconds between "no more
/// work" and "asleep" are hit often. A lost wake-up leaves both waiting for ever.
/// </summary>
public class VirtqueueConcurrencyTests
{
    private const int Rounds = 300_000;

    // On a busy machine fewer rounds must do.
    private static readonly TimeSpan s_enough = TimeSpan.FromSeconds(4);
    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(30);

    [Theory]
    [InlineData(VirtioFeatures.Common)]
    [InlineData(VirtioFeatures.Version1)]
    public void No_bell_is_lost_when_a_device_goes_to_sleep_as_a_chain_comes(ulong features)
    {
        using var pair = new QueuePair(size: 16, features);
        FakeBuffer buffer = pair.Driver.Writable(64);
        pair.Driver.SetDescriptor(0, buffer.Address, buffer.Length, FakeDriver.Write, 0);
        int bell = 0;
        int stop = 0;
        var device = new Thread(() =>
        {
            while (Volatile.Read(ref stop) == 0)
            {
                if (Volatile.Read(ref bell) == 0)
                {
                    Thread.SpinWait(1);
                    continue;
                }

                Volatile.Write(ref bell, 0);
                do
                {
                    pair.Queue.DisableNotifications();
                    while (pair.Queue.TryPop(out DescriptorChain chain))
                    {
                        pair.Queue.AddUsed(chain.Head, 0);
                    }

                    pair.Queue.PublishUsed();
                }
                while (!pair.Queue.TryEnableNotifications());
            }
        });
        device.Start();
        bool served = true;
        var clock = Stopwatch.StartNew();
        try
        {
            for (int round = 0; served && round < Rounds && clock.Elapsed < s_enough; round++)
            {
                pair.Driver.PushHead(0);
                if (pair.Driver.NeedsKick())
                {
                    Volatile.Write(ref bell, 1);
                }

                ushort wanted = pair.Driver.AvailIdx;
                served = SpinUntil(() => pair.Driver.UsedIdx == wanted);
                Thread.SpinWait(round % 17);
            }
        }
        finally
        {
            Volatile.Write(ref stop, 1);
            device.Join();
        }

        Assert.True(served, "A chain was made available, and the device never came to see it.");
    }

    [Fact]
    public void No_interrupt_is_lost_when_a_driver_goes_to_sleep_as_a_chain_comes_back()
    {
        using var pair = new QueuePair(size: 16);
        FakeBuffer buffer = pair.Driver.Writable(64);
        int interrupt = 0;
        int stop = 0;
        // The device polls the ring and never sleeps; only its interrupts are on trial.
        var device = new Thread(() =>
        {
            for (int round = 0; Volatile.Read(ref stop) == 0; round++)
            {
                if (pair.Queue.TryPop(out DescriptorChain chain))
                {
                    Thread.SpinWait(round % 13);
                    pair.Queue.AddUsed(chain.Head, 0);
                    pair.Queue.PublishUsed();
                    if (pair.Queue.NeedsNotification())
                    {
                        Volatile.Write(ref interrupt, 1);
                    }
                }
            }
        });
        device.Start();
        bool woken = true;
        var clock = Stopwatch.StartNew();
        try
        {
            for (int round = 0; woken && round < Rounds && clock.Elapsed < s_enough; round++)
            {
                pair.Driver.Add(buffer);
                Thread.SpinWait(round % 17);
                while (pair.Driver.Outstanding > 0 && woken)
                {
                    if (pair.Driver.TryEnableInterrupts())
                    {
                        woken = SpinUntil(() => Volatile.Read(ref interrupt) == 1);
                        Volatile.Write(ref interrupt, 0);
                    }

                    while (pair.Driver.TryTakeUsed(out _))
                    {
                    }
                }
            }
        }
        finally
        {
            Volatile.Write(ref stop, 1);
            device.Join();
        }

        Assert.True(woken, "A chain came back, and its interrupt never did.");
    }

    private static bool SpinUntil(Func<bool> condition)
    {
        for (int i = 0; i < 5_000; i++)
        {
            if (condition())
            {
                return true;
            }
        }

        // The other thread may have lost its CPU.
        var clock = Stopwatch.StartNew();
        while (!condition())
        {
            if (clock.Elapsed > s_deadline)
            {
                return false;
            }

            Thread.Yield();
        }

        return true;
    }
}
