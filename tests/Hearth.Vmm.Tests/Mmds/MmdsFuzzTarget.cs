using System.Buffers.Binary;
using System.Net;
using Hearth.Vmm.Mmds;

namespace Hearth.Vmm.Tests.Mmds;

/// <summary>
/// Runs a network stack on bytes of anybody's choice, as a list of steps, and checks that all it sends is well-formed.
/// <para>A step is a kind, then what the kind needs: 0 a raw frame (2 bytes of length, then the bytes); 1 a segment with
/// good checksums to a connection (flags, 1 byte to add to the number expected, 1 byte to add to the acknowledgement
/// expected, window, 1 byte of length, payload); 2 time passes (2 bytes of milliseconds); 3 frames are taken out (a
/// byte of room).</para>
/// </summary>
public static class MmdsFuzzTarget
{
    private const int MaxFramesOut = 4096;

    public static void Run(ReadOnlySpan<byte> input)
    {
        var service = new MmdsService(51200);
        service.Store.Put("""{"a":"value","o":{"x":[1,2]},"n":3}"""u8);
        var stack = new MmdsNetworkStack(service, IPAddress.Parse("169.254.169.254"));
        var guest = new Guest();
        var frame = new byte[MmdsNetworkStack.MaxFrameBytes];
        long nowMs = 0;
        while (!input.IsEmpty)
        {
            switch (Take(ref input) & 3)
            {
                case 0:
                    int length = Take(ref input) | ((Take(ref input) & 7) << 8);
                    stack.TryConsumeFrame(Take(ref input, length), nowMs, checksumDeferred: (length & 1) == 1);
                    break;
                case 1:
                    Assert.True(stack.TryConsumeFrame(guest.Segment(ref input), nowMs));
                    break;
                case 2:
                    nowMs += Take(ref input) | (Take(ref input) << 8);
                    break;
                default:
                    Drain(stack, guest, frame.AsSpan(0, Math.Min(frame.Length, 200 + (Take(ref input) * 8))), nowMs);
                    break;
            }
        }

        Drain(stack, guest, frame, nowMs);
    }

    private static void Drain(MmdsNetworkStack stack, Guest guest, Span<byte> room, long nowMs)
    {
        for (int frames = 0; stack.TryProduceFrame(room, nowMs) is var length and > 0; frames++)
        {
            Assert.True(frames < MaxFramesOut, "there is no end to what it sends");
            guest.Look(room[..length]);
        }

        if (room.Length >= MmdsNetworkStack.MaxFrameBytes)
        {
            Assert.True(stack.NextDeadlineMs > nowMs, "a deadline that has passed");
        }
    }

    private static byte Take(ref ReadOnlySpan<byte> input)
    {
        byte value = input.IsEmpty ? (byte)0 : input[0];
        input = input.IsEmpty ? input : input[1..];
        return value;
    }

    private static ReadOnlySpan<byte> Take(ref ReadOnlySpan<byte> input, int length)
    {
        ReadOnlySpan<byte> bytes = input[..Math.Min(length, input.Length)];
        input = input[bytes.Length..];
        return bytes;
    }

    /// <summary>Knows just enough of one connection to aim at its edges.</summary>
    private sealed class Guest
    {
        private uint _expectedSeq = 1;
        private uint _expectedAck;

        public byte[] Segment(ref ReadOnlySpan<byte> input)
        {
            var flags = (Hearth.Vmm.Mmds.Tcp.TcpFlags)Take(ref input);
            uint seq = unchecked(_expectedSeq + (uint)(sbyte)Take(ref input));
            uint ack = unchecked(_expectedAck + (uint)(sbyte)Take(ref input));
            ushort window = (ushort)(Take(ref input) * 64);
            ReadOnlySpan<byte> payload = Take(ref input, Take(ref input));
            return GuestFrames.Segment(new Hearth.Vmm.Mmds.Tcp.TcpHeader(seq, ack, flags, window) { Mss = (ushort)(window / 8) }, payload);
        }

        public void Look(ReadOnlySpan<byte> frame)
        {
            Assert.Equal(GuestFrames.ServiceMac, FrameWriter.ReadMac(frame[6..]));
            if (BinaryPrimitives.ReadUInt16BigEndian(frame[12..]) == FrameWriter.EtherTypeArp)
            {
                Assert.Equal(FrameWriter.EthernetHeaderBytes + FrameWriter.ArpBytes, frame.Length);
                return;
            }

            // Raw frames may have come from any address: take the guest's as the receiver for the check.
            Span<byte> copy = frame.ToArray();
            bool toGuest = BinaryPrimitives.ReadUInt32BigEndian(copy[30..]) == GuestFrames.GuestAddress && FrameWriter.ReadMac(copy) == GuestFrames.GuestMac;
            if (toGuest)
            {
                Hearth.Vmm.Mmds.Tcp.TcpSegment segment = GuestFrames.Open(copy);
                _expectedAck = unchecked(segment.Seq + segment.Length);
                _expectedSeq = segment.Ack;
            }
        }
    }
}
