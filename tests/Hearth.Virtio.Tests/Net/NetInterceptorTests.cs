using Hearth.Testing.Virtio;
using Hearth.Virtio.Net;

namespace Hearth.Virtio.Tests.Net;

public class NetInterceptorTests
{
    private const byte Wanted = 0xa5;

    [Fact]
    public void Frames_for_the_neighbour_never_reach_the_host_and_its_answers_reach_the_guest()
    {
        var neighbour = new Neighbour();
        using var net = new NetBench(interceptor: neighbour);
        Dictionary<ushort, FakeBuffer> lent = net.Lend(4, 2000);
        net.Bench.Kick(0);
        byte[] question = NetBench.Frame(100, flags: 1);
        question[12] = Wanted;
        byte[] other = NetBench.Frame(100);
        other[12] = 0;
        neighbour.Answers.Enqueue(NetBench.Frame(300)[12..]);
        neighbour.Silent = true;
        net.Tx.Add(net.Tx.Readable(question));
        net.Tx.Add(net.Tx.Readable(other));
        net.Bench.Kick(1);
        Assert.Equal(other, net.HostReceives());
        Assert.Null(net.HostReceives());
        Assert.Equal(question[12..], Assert.Single(neighbour.Taken));
        Assert.Equal(NetBench.Frame(300), net.GuestReceives(lent));
    }

    [Fact]
    public void An_answer_larger_than_the_first_buffer_goes_on_in_the_next()
    {
        var neighbour = new Neighbour();
        using var net = new NetBench(interceptor: neighbour);
        neighbour.Answers.Enqueue(NetBench.Frame(1400)[12..]);
        Dictionary<ushort, FakeBuffer> lent = net.Lend(1, 500);
        net.Bench.Kick(0);
        Assert.Equal(0, net.Rx.UsedIdx);
        foreach ((ushort head, FakeBuffer buffer) in net.Lend(2, 500))
        {
            lent.Add(head, buffer);
        }

        net.Bench.Kick(0);
        Assert.Equal(NetBench.Frame(1400), net.GuestReceives(lent));
    }

    [Fact]
    public void The_neighbour_is_asked_again_when_its_time_comes()
    {
        var neighbour = new Neighbour();
        using var net = new NetBench(interceptor: neighbour);
        Dictionary<ushort, FakeBuffer> lent = net.Lend(1, 2000);
        neighbour.Deadline = Environment.TickCount64 + 20;
        net.Bench.Kick(0);
        Assert.Equal(0, net.Rx.UsedIdx);
        neighbour.Answers.Enqueue(NetBench.Frame(50)[12..]);
        neighbour.Deadline = long.MaxValue;
        net.Bench.PumpUntil(() => net.Rx.UsedIdx == 1, "the neighbour's timer");
        Assert.Equal(NetBench.Frame(50), net.GuestReceives(lent));
    }

    private sealed class Neighbour : INetInterceptor
    {
        public List<byte[]> Taken { get; } = [];

        public Queue<byte[]> Answers { get; } = [];

        // Answers only once it was asked.
        public bool Silent { get; set; }

        public long Deadline { get; set; } = long.MaxValue;

        public long NextDeadlineMs => Deadline;

        public bool Wants(ReadOnlySpan<byte> start)
        {
            Assert.InRange(start.Length, 1, NetDevice.InterceptorPeekBytes);
            return start[0] == Wanted;
        }

        public bool TryConsume(ReadOnlySpan<byte> frame, bool checksumDeferred)
        {
            Assert.True(checksumDeferred);
            Taken.Add(frame.ToArray());
            Silent = false;
            return true;
        }

        public int TryProduce(Span<byte> destination)
        {
            if (Silent || !Answers.TryDequeue(out byte[]? answer))
            {
                return 0;
            }

            answer.CopyTo(destination);
            return answer.Length;
        }
    }
}
