using System.Net.Sockets;
using CsCheck;

namespace Hearth.Virtio.Tests.Vsock;

/// <summary>Two honest ends, whatever they do in whatever order.</summary>
public class VsockPropertyTests
{
    private const uint Port = 52;

    private enum Act
    {
        GuestWrites,
        GuestReads,
        GuestFinishes,
        HostWrites,
        HostReads,
        HostFinishes,
    }

    [Fact]
    public void All_that_is_written_arrives_once_in_order_and_before_the_end_of_it()
    {
        Gen<(Act Act, int Stream, int Bytes)> step = Gen.Select(
            Gen.Frequency(
                (4, Gen.Const(Act.GuestWrites)),
                (4, Gen.Const(Act.HostWrites)),
                (3, Gen.Const(Act.GuestReads)),
                (3, Gen.Const(Act.HostReads)),
                (1, Gen.Const(Act.GuestFinishes)),
                (1, Gen.Const(Act.HostFinishes))),
            Gen.Int[0, 7],
            Gen.OneOf(Gen.Int[1, 300], Gen.Int[1, 100_000]));
        Gen.Select(Gen.Int[1, 8], Gen.UInt[1, 70_000], Gen.OneOf(Gen.UInt[1, 200], Gen.UInt[1000, 9000]), step.Array[1, 80]).Sample(
            (streams, allocation, bufferBytes, steps) =>
            {
                using var vsock = new VsockBench();
                using Socket listener = vsock.Listen(Port);
                var guest = new HonestGuest(vsock, allocation, bufferBytes);
                Line[] lines = [.. Enumerable.Range(0, streams).Select(i => new Line(vsock, guest, guest.Open(listener, Port, (uint)i)))];
                foreach ((Act act, int stream, int bytes) in steps)
                {
                    lines[stream % streams].Do(act, bytes);
                    guest.Listen();
                }

                foreach (Line line in lines)
                {
                    line.Do(Act.GuestFinishes, 0);
                    line.Do(Act.HostFinishes, 0);
                }

                vsock.Bench.PumpUntil(() => lines.Count(line => line.Continue()) == lines.Length, "the ends of all streams");
                Assert.Equal(0, vsock.Device.Metrics.ConnsKilled.Value);
                Assert.Equal(streams, vsock.Device.Metrics.ConnsRemoved.Value);
                Assert.Equal(lines.Sum(line => line.FromGuest), vsock.Device.Metrics.TxBytesCount.Value);
                Assert.Equal(lines.Sum(line => line.FromHost), vsock.Device.Metrics.RxBytesCount.Value);
            },
            iter: 60,
            threads: 1);
    }

    /// <summary>One stream, and what each end wants to write and to read of it.</summary>
    private sealed class Line(VsockBench vsock, HonestGuest guest, HonestGuest.Stream stream)
    {
        private readonly byte[] _room = new byte[256 * 1024];
        private int _guestWants;
        private int _hostWants;
        private bool _guestEnds;
        private bool _hostEnds;
        private int _readByHost;
        private bool _hostSawEnd;

        public int FromGuest { get; private set; }

        public int FromHost { get; private set; }

        public void Do(Act act, int bytes)
        {
            switch (act)
            {
                case Act.GuestWrites:
                    _guestWants += _guestEnds ? 0 : bytes;
                    Write();
                    break;
                case Act.GuestReads:
                    guest.Read(stream, bytes);
                    break;
                case Act.GuestFinishes:
                    _guestEnds = true;
                    Write();
                    break;
                case Act.HostWrites:
                    _hostWants += _hostEnds ? 0 : bytes;
                    Write();
                    break;
                case Act.HostReads:
                    HostReads(bytes);
                    break;
                case Act.HostFinishes:
                    _hostEnds = true;
                    Write();
                    break;
                default:
                    throw new ArgumentOutOfRangeException(nameof(act));
            }
        }

        /// <summary>Goes on with all that is left to do; true once nothing is.</summary>
        public bool Continue()
        {
            Write();
            guest.Listen();
            guest.Read(stream, int.MaxValue);
            HostReads(int.MaxValue);
            bool isOver = _hostSawEnd && stream.SawEnd;
            if (isOver)
            {
                Assert.Equal(FromGuest, _readByHost);
                Assert.Equal(FromHost, stream.Read);
                stream.Host.Dispose();
                vsock.Bench.Pump();
            }

            return isOver;
        }

        // As much as the other end has room for now; the end comes behind all of it.
        private void Write()
        {
            int sent = guest.Write(stream, FromGuest, _guestWants);
            FromGuest += sent;
            _guestWants -= sent;
            if (_guestEnds && _guestWants == 0)
            {
                guest.Finish(stream);
            }

            while (_hostWants > 0)
            {
                // So few that the socket takes all of them or none.
                byte[] bytes = HonestGuest.Pattern(stream.GuestPort, isGuests: false, FromHost, Math.Min(_hostWants, 4096));
                stream.Host.Send(bytes, SocketFlags.None, out SocketError error);
                if (error == SocketError.WouldBlock)
                {
                    break;
                }

                Assert.Equal(SocketError.Success, error);
                FromHost += bytes.Length;
                _hostWants -= bytes.Length;
            }

            if (_hostEnds && _hostWants == 0 && stream.Host.Connected)
            {
                stream.Host.Shutdown(SocketShutdown.Send);
            }

            vsock.Bench.Pump();
        }

        private void HostReads(int most)
        {
            vsock.Bench.Pump();
            while (most > 0 && !_hostSawEnd)
            {
                int count = stream.Host.Receive(_room, 0, Math.Min(most, _room.Length), SocketFlags.None, out SocketError error);
                if (error == SocketError.WouldBlock)
                {
                    break;
                }

                Assert.Equal(SocketError.Success, error);
                Assert.Equal(HonestGuest.Pattern(stream.GuestPort, isGuests: true, _readByHost, count), _room[..count]);
                _readByHost += count;
                most -= count;
                _hostSawEnd = count == 0;
                vsock.Bench.Pump();
            }
        }
    }
}
