using System.Net.Sockets;
using Hearth.Testing.Fuzzing;
using Hearth.Virtio.Vsock;

namespace Hearth.Virtio.Tests.Vsock;

/// <summary>
/// A hostile guest that knows the protocol, and hosts beside it that do as they like; the input is a list of steps. All
/// that the device sends must be well-formed, and in the end nothing may be left of any stream.
/// <list type="table">
/// <item>0: operation, the port's kind, guest port, lies, flags, payload length (bytes), allocation, forwarded (u32): a
/// packet. Lies: 1 the source, 2 the destination, 4 the type, 8 the length</item>
/// <item>1: count (byte), payload bytes (u16): buffers lent. 2: length, bytes: a host connects and says so. 3: host (byte),
/// bytes (u16): it writes. 4: host: it reads all</item>
/// <item>5: host, how (bytes): it ends a half, or goes. 6: a reset and a new start. 7: bytes (byte): a buffer for
/// events, and a restore</item>
/// </list>
/// </summary>
public static class VsockFuzzTarget
{
    private const uint ListeningPort = 52;
    private const int MostHosts = 64;

    public static void Run(ReadOnlySpan<byte> bytes)
    {
        using var vsock = new VsockBench();
        using Socket listener = vsock.Listen(ListeningPort);
        var guest = new Guest(vsock, listener);
        var input = new FuzzInput(bytes);
        while (!input.IsEmpty)
        {
            guest.Step(ref input);
            guest.Look();
        }

        vsock.Restart();
        guest.HangUp();
        vsock.Bench.Pump();
        Assert.Equal(vsock.Device.Metrics.ConnsAdded.Value, vsock.Device.Metrics.ConnsRemoved.Value);
        Assert.False(vsock.Bench.Loop.RunOnce(0));
    }

    private sealed class Guest(VsockBench vsock, Socket listener)
    {
        private readonly List<Socket> _hosts = [];
        private uint _lastAsked;

        public void Step(ref FuzzInput input)
        {
            switch (input.Byte() & 7)
            {
                case 0:
                    Send(ref input);
                    break;
                case 1:
                    int count = Math.Min(input.Byte(), vsock.Rx.FreeDescriptors);
                    // Smaller ones hold no packet, and come back as they are.
                    vsock.Lend(count, input.UInt16() + 1u);
                    break;
                case 2 when _hosts.Count < MostHosts:
                    _hosts.Add(vsock.Dial(input.Take(input.Byte())));
                    break;
                case 3 when Host(ref input) is { } writer:
                    writer.Send(new byte[input.UInt16()], SocketFlags.None, out _);
                    break;
                case 4 when Host(ref input) is { } reader:
                    reader.Receive(new byte[1 << 18], SocketFlags.None, out _);
                    break;
                case 5 when Host(ref input) is { } host:
                    End(host, input.Byte());
                    break;
                case 6:
                    vsock.Restart();
                    break;
                case 7 when vsock.Bench.Queues[2] is { FreeDescriptors: > 0 } events:
                    events.Add(events.Writable(input.Byte() + 1u));
                    lock (vsock.Device.Gate)
                    {
                        vsock.Device.Restore(vsock.Device.Save());
                    }

                    break;
            }
        }

        /// <summary>Takes what the device sent, and lets the hosts take what came for them.</summary>
        public void Look()
        {
            while (vsock.TryTake() is { } packet)
            {
                VsockHeader header = packet.Header;
                Assert.True(Enum.IsDefined(header.Operation), $"operation {header.Operation}");
                Assert.True(header.Length == 0 || header.Operation == VsockOperation.ReadWrite, $"{header.Operation} with payload");
                Assert.True(header.Length > 0 || header.Operation != VsockOperation.ReadWrite, "no data in a packet of data");
                Assert.True(header.Flags == 0 || header is { Operation: VsockOperation.Shutdown, Flags: <= 3 }, $"{header.Operation} with flags {header.Flags}");
                _lastAsked = header.Operation == VsockOperation.Request ? header.SourcePort : _lastAsked;
            }

            while (_hosts.Count < MostHosts && listener.Poll(0, SelectMode.SelectRead))
            {
                Socket host = listener.Accept();
                host.Blocking = false;
                _hosts.Add(host);
            }
        }

        public void HangUp()
        {
            _hosts.ForEach(static host => host.Dispose());
            while (listener.Poll(0, SelectMode.SelectRead))
            {
                listener.Accept().Dispose();
            }
        }

        private void Send(ref FuzzInput input)
        {
            VsockOperation operation = (VsockOperation)(input.Byte() % 9);
            uint hostPort = (input.Byte() & 3) switch
            {
                0 or 1 => ListeningPort,
                2 => _lastAsked,
                _ => ListeningPort + 1,
            };
            uint guestPort = input.Byte() & 7u;
            byte lies = input.Byte();
            uint flags = input.Byte();
            // Up to more than the credit of a stream in a few packets.
            var payload = new byte[input.Byte() << 8];
            uint allocation = input.UInt32();
            VsockHeader header = vsock.Header(operation, hostPort, guestPort, (uint)payload.Length, flags, input.UInt32());
            header = header with
            {
                BufferAllocation = allocation,
                SourceCid = (lies & 1) != 0 ? 99 : header.SourceCid,
                DestinationCid = (lies & 2) != 0 ? 3 : header.DestinationCid,
                Type = (ushort)((lies & 4) != 0 ? 2 : header.Type),
                Length = (lies & 8) != 0 ? unchecked(header.Length - allocation) : header.Length,
            };
            if (vsock.Tx.FreeDescriptors > 0)
            {
                vsock.Tx.Add(vsock.Tx.Readable(vsock.Packet(header, payload)));
                vsock.Bench.Kick(1);
            }

            while (vsock.Tx.TryTakeUsed(out _))
            {
            }
        }

        private Socket? Host(ref FuzzInput input) => _hosts.Count == 0 ? null : _hosts[input.Byte() % _hosts.Count];

        private void End(Socket host, byte how)
        {
            if ((how & 3) < 2)
            {
                try
                {
                    host.Shutdown((how & 1) == 0 ? SocketShutdown.Send : SocketShutdown.Receive);
                }
                catch (SocketException)
                {
                    // The device was first.
                }

                return;
            }

            _hosts.Remove(host);
            host.Dispose();
        }
    }
}
