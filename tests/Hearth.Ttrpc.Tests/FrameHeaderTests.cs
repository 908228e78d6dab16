using CsCheck;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Hearth.Ttrpc.Framing;

namespace Hearth.Ttrpc.Tests;

public sealed class FrameHeaderTests
{
    [Fact]
    public void A_header_is_ten_big_endian_bytes()
    {
        byte[] bytes = new byte[FrameHeader.Size];

        new FrameHeader(0x00010203, 0x7f000005, MessageType.Data, FrameFlags.RemoteClosed | FrameFlags.NoData).Write(bytes);

        Assert.Equal("000102037F0000050305", Convert.ToHexString(bytes));
    }

    [Fact]
    public void Any_ten_bytes_are_a_header_that_writes_itself_again() =>
        Gen.Byte.Array[FrameHeader.Size].Sample(static bytes =>
        {
            byte[] again = new byte[FrameHeader.Size];
            FrameHeader.Read(bytes).Write(again);
            Assert.Equal(bytes, again);
        });

    [Fact]
    public void Frames_come_out_as_they_went_in_however_the_stream_cuts_them() =>
        Gen.Select(Gen.Byte.Array[0, 300].Array[1, 20], Gen.Int[1, 64]).Sample(static (payloads, cut) =>
        {
            var written = new MemoryStream();
            var writer = new FrameChannel(written);
            for (int i = 0; i < payloads.Length; i++)
            {
                var message = new BytesValue { Value = ByteString.CopyFrom(payloads[i]) };
                Assert.True(writer.WriteAsync((uint)i, MessageType.Request, FrameFlags.None, message, default).IsCompletedSuccessfully);
            }

            var reader = new FrameChannel(new CuttingStream(written.ToArray(), cut));
            for (int i = 0; i < payloads.Length; i++)
            {
                Frame frame = reader.ReadAsync(default).AsTask().Result!.Value;
                Assert.Equal((uint)i, frame.Header.StreamId);
                Assert.Equal(payloads[i], BytesValue.Parser.ParseFrom(frame.Payload).Value.ToByteArray());
            }

            Assert.Null(reader.ReadAsync(default).AsTask().Result);
        });

    [Fact]
    public void Any_bytes_end_as_frames_or_as_the_end_of_the_stream() =>
        Gen.Byte.Array[0, 200].Sample(static bytes =>
        {
            var reader = new FrameChannel(new MemoryStream(bytes));
            try
            {
                int total = 0;
                while (reader.ReadAsync(default).AsTask().GetAwaiter().GetResult() is { } frame)
                {
                    Assert.NotNull(frame.Payload);
                    total += FrameHeader.Size + frame.Payload.Length;
                }

                Assert.Equal(bytes.Length, total);
            }
            catch (EndOfStreamException)
            {
                Assert.NotEmpty(bytes);
            }
        });

    private sealed class CuttingStream(byte[] bytes, int cut) : MemoryStream(bytes)
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            base.ReadAsync(buffer[..Math.Min(buffer.Length, cut)], cancellationToken);
    }
}
