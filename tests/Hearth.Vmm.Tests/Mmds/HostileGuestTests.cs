using System.Text;
using CsCheck;
using Hearth.Vmm.Mmds.Tcp;

namespace Hearth.Vmm.Tests.Mmds;

public class HostileGuestTests
{
    private static readonly Gen<byte[]> s_payload = Gen.OneOf(
        Gen.Const(Encoding.ASCII.GetBytes("GET /a HTTP/1.1\r\n\r\n")),
        Gen.Const(Encoding.ASCII.GetBytes("PUT /latest/api/token HTTP/1.1\r\nX-metadata-token-ttl-seconds: 5\r\n\r\n")),
        Gen.Const(Encoding.ASCII.GetBytes("GET /o HTTP/1.1\r\nConnection: close\r\n\r\n")),
        Gen.Const(Array.Empty<byte>()),
        Gen.Byte.Array[0, 255]);

    // SYN, ACK, RST, then what else occurs, the common ones more often.
    private static readonly byte[] s_flags = [2, 16, 4, 16, 24, 24, 17, 20, 18];

    private static readonly Gen<byte> s_offset = Gen.Frequency((8, Gen.Const((byte)0)), (2, Gen.Byte));

    private static readonly Gen<byte[]> s_segment = Gen.Select(
        Gen.OneOf(Gen.Int[0, 8].Select(i => s_flags[i]), Gen.Byte), s_offset, s_offset, Gen.Byte, s_payload,
        (flags, seq, ack, window, payload) => (byte[])[1, flags, seq, ack, window, (byte)payload.Length, .. payload]);

    // A frame that was right before some of its bytes were changed.
    private static readonly Gen<byte[]> s_mutated = Gen.Select(
        s_payload, Gen.Int[0, 2].Select(i => (TcpFlags)s_flags[i]), Gen.Select(Gen.Int[0, 60], Gen.Byte).Array[0, 4], Gen.Bool,
        (payload, flags, changes, arp) =>
        {
            byte[] frame = arp ? GuestFrames.ArpRequest() : GuestFrames.Segment(new TcpHeader(1, 1, flags, 1000) { Mss = 1460 }, payload);
            foreach ((int at, byte value) in changes)
            {
                if (at < frame.Length)
                {
                    frame[at] = value;
                }
            }

            return (byte[])[0, (byte)frame.Length, (byte)(frame.Length >> 8), .. frame];
        });

    private static readonly Gen<byte[]> s_step = Gen.Frequency(
        (6, s_segment),
        (2, s_mutated),
        (1, Gen.Byte.Array[3, 80].Select(bytes => (byte[])[0, (byte)bytes.Length, 0, .. bytes])),
        (1, Gen.Select(Gen.Byte, Gen.Byte[0, 80], (low, high) => (byte[])[2, low, high])),
        (4, Gen.Byte.Select(room => (byte[])[3, room])));

    [Fact]
    public void Whatever_a_guest_sends_the_service_stands_and_sends_only_what_is_well_formed() =>
        s_step.Array[0, 60].Sample(steps => MmdsFuzzTarget.Run(steps.SelectMany(step => step).ToArray()), iter: 20_000);

    [Fact]
    public void Bytes_without_any_sense_do_no_harm() => Gen.Byte.Array[0, 400].Sample(bytes => MmdsFuzzTarget.Run(bytes), iter: 20_000);
}
