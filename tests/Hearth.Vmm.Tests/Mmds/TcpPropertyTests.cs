using System.Buffers;
using System.Net;
using System.Text;
using CsCheck;
using Hearth.Vmm.Mmds;
using Hearth.Vmm.Mmds.Http;

namespace Hearth.Vmm.Tests.Mmds;

public class TcpPropertyTests
{
    private static readonly MmdsService s_service = MakeService();

    [Fact]
    public void Answers_arrive_whole_over_a_link_that_loses_repeats_and_reorders()
    {
        Gen.Select(Gen.Int, Gen.Double[0, 0.2], Gen.Double[0, 0.2], Gen.Double[0, 0.3], Gen.UInt, Gen.Int[1, 4]).Sample(
            (seed, loss, repeats, reorders, initialSeq, connections) =>
            {
                var random = new Random(seed);
                var stack = new MmdsNetworkStack(s_service, IPAddress.Parse("169.254.169.254"));
                var guests = new List<(GuestTcp Tcp, byte[] Expected)>();
                for (int i = 0; i < connections; i++)
                {
                    (byte[] requests, byte[] answers) = MakeExchange(random);
                    guests.Add((new GuestTcp(requests, answers.Length, initialSeq, (ushort)(1000 + i), random), answers));
                }

                var toService = new Link(random, loss, repeats, reorders);
                var toGuest = new Link(random, loss, repeats, reorders);
                var frame = new byte[MmdsNetworkStack.MaxFrameBytes];
                long nowMs = 0;
                for (; nowMs < 10_000_000 && !guests.All(guest => guest.Tcp.Received.Length == guest.Expected.Length && guest.Tcp.IsDone); nowMs += 10)
                {
                    foreach ((GuestTcp tcp, _) in guests)
                    {
                        tcp.Tick(nowMs);
                        toService.Send(tcp.Out);
                    }

                    while (toService.TryReceive(out byte[] sent))
                    {
                        Assert.True(stack.TryConsumeFrame(sent, nowMs));
                    }

                    int room = random.Next(4) == 0 ? random.Next(256, frame.Length + 1) : frame.Length;
                    int length;
                    while ((length = stack.TryProduceFrame(frame.AsSpan(0, room), nowMs)) > 0)
                    {
                        toGuest.Send(frame[..length]);
                    }

                    Assert.True(stack.NextDeadlineMs > nowMs, "a deadline that has passed");
                    while (toGuest.TryReceive(out byte[] sent))
                    {
                        ushort port = GuestFrames.Open(sent).DestinationPort;
                        GuestTcp tcp = guests[port - 1000].Tcp;

                        // A guest that is done answers nothing more; the service may still ask or give up on it.
                        if (!tcp.IsDone)
                        {
                            tcp.Receive(sent);
                        }
                    }
                }

                foreach ((GuestTcp tcp, byte[] expected) in guests)
                {
                    Assert.Equal(expected, tcp.Received);
                    Assert.True(tcp.IsDone, $"not closed after {nowMs} ms");
                }
            },
            iter: 150);
    }

    // Requests one after another, pipelined, of which the last may ask to close; and what must come back.
    private static (byte[] Requests, byte[] Answers) MakeExchange(Random random)
    {
        var requests = new StringBuilder();
        var answers = new ArrayBufferWriter<byte>();
        var responder = new MmdsResponder(s_service);
        int count = random.Next(1, 5);
        for (int i = 0; i < count; i++)
        {
            string path = random.Next(4) switch { 0 => "/", 1 => "/big", 2 => "/small", _ => "/none/" + new string('x', random.Next(2000)) };
            string close = i == count - 1 && random.Next(2) == 0 ? "Connection: close\r\n" : "";
            string request = $"GET {path} HTTP/1.1\r\nHost: mmds\r\n{close}\r\n";
            requests.Append(request);
            responder.Respond(Encoding.UTF8.GetBytes(request), 0, answers);
        }

        return (Encoding.UTF8.GetBytes(requests.ToString()), answers.WrittenSpan.ToArray());
    }

    private static MmdsService MakeService()
    {
        var service = new MmdsService(1 << 20);
        string big = string.Concat(Enumerable.Range(0, 4000).Select(i => i.ToString("x4", null)));
        service.Store.Put(Encoding.UTF8.GetBytes($$"""{"big":"{{big}}","small":"value"}"""));
        return service;
    }

    /// <summary>One direction: what goes in comes out later, or twice, or elsewhere, or not.</summary>
    private sealed class Link(Random random, double loss, double repeats, double reorders)
    {
        private readonly List<byte[]> _frames = [];

        public void Send(Queue<byte[]> frames)
        {
            while (frames.TryDequeue(out byte[]? frame))
            {
                Send(frame);
            }
        }

        public void Send(byte[] frame)
        {
            int copies = random.NextDouble() < loss ? 0 : random.NextDouble() < repeats ? 2 : 1;
            for (int i = 0; i < copies; i++)
            {
                _frames.Insert(random.NextDouble() < reorders ? random.Next(_frames.Count + 1) : _frames.Count, frame);
            }
        }

        public bool TryReceive(out byte[] frame)
        {
            frame = _frames.FirstOrDefault() ?? [];
            if (_frames.Count == 0 || random.NextDouble() < 0.05)
            {
                return false;
            }

            _frames.RemoveAt(0);
            return true;
        }
    }
}
