using System.Net.Sockets;
using Hearth.Virtio.Vsock;

namespace Hearth.Virtio.Tests.Vsock;

/// <summary>
/// A guest's driver that keeps to the protocol and insists that the device does: no more than the credit it gave, the
/// bytes of each stream in order, nothing behind an end.
/// </summary>
internal sealed class HonestGuest(VsockBench vsock, uint allocation, uint bufferBytes)
{
    private readonly Dictionary<uint, Stream> _streams = [];

    /// <summary>Bytes that tell streams, directions and places apart.</summary>
    public static byte[] Pattern(uint stream, bool isGuests, int start, int count)
    {
        var bytes = new byte[count];
        for (int i = 0; i < count; i++)
        {
            int at = start + i;
            bytes[i] = (byte)((at * 7) + (at >> 8) + (at >> 16) + (stream * 31) + (isGuests ? 101 : 0));
        }

        return bytes;
    }

    public Stream Open(Socket listener, uint hostPort, uint guestPort)
    {
        vsock.Lend(1, bufferBytes);
        vsock.Send(vsock.Header(VsockOperation.Request, hostPort, guestPort) with { BufferAllocation = allocation });
        Socket host = listener.Accept();
        host.Blocking = false;
        VsockHeader response = vsock.Take(VsockOperation.Response).Header;
        var stream = new Stream(host, hostPort, guestPort) { HostAllocation = response.BufferAllocation };
        _streams.Add(guestPort, stream);
        return stream;
    }

    /// <summary>Takes what the device has sent, and lends buffers for more.</summary>
    public void Listen()
    {
        do
        {
            vsock.Lend(vsock.Rx.FreeDescriptors, bufferBytes);
            while (vsock.TryTake() is { } packet)
            {
                Hear(_streams[packet.Header.DestinationPort], packet.Header, packet.Payload);
            }
        }
        while (vsock.Rx.FreeDescriptors > 0);
    }

    /// <summary>Writes up to <paramref name="count"/> bytes of the pattern, as many as there is credit for.</summary>
    public int Write(Stream stream, int start, int count)
    {
        Listen();
        int done = 0;
        while (done < count && !stream.IsFinished)
        {
            uint room = stream.HostAllocation - unchecked(stream.Sent - stream.HostForwarded);
            int part = (int)Math.Min(Math.Min((uint)(count - done), room), 60_000);
            if (part == 0)
            {
                break;
            }

            Send(stream, VsockOperation.ReadWrite, Pattern(stream.GuestPort, isGuests: true, start + done, part));
            stream.Sent += (uint)part;
            done += part;
            Listen();
        }

        return done;
    }

    /// <summary>A program takes up to <paramref name="most"/> bytes out of the guest's buffer.</summary>
    public void Read(Stream stream, int most)
    {
        Listen();
        while (most > 0 && stream.Read < stream.Received)
        {
            int count = Math.Min(most, stream.Received - stream.Read);
            stream.Read += count;
            most -= count;
            if (!stream.IsOver)
            {
                Send(stream, VsockOperation.CreditUpdate);
            }

            Listen();
        }
    }

    public void Finish(Stream stream)
    {
        if (!stream.IsFinished)
        {
            stream.IsFinished = true;
            Send(stream, VsockOperation.Shutdown, flags: VsockHeader.ShutdownSend);
        }
    }

    private void Hear(Stream stream, VsockHeader header, byte[] payload)
    {
        Assert.False(stream.IsOver, $"{header.Operation} behind the stream's end");
        stream.HostAllocation = header.BufferAllocation;
        stream.HostForwarded = header.ForwardedCount;
        switch (header.Operation)
        {
            case VsockOperation.ReadWrite:
                Assert.False(stream.SawEnd, "data behind their end");
                Assert.Equal(Pattern(stream.GuestPort, isGuests: false, stream.Received, payload.Length), payload);
                stream.Received += payload.Length;
                Assert.InRange(stream.Received - stream.Read, 0, (long)allocation);
                break;
            case VsockOperation.Shutdown:
                stream.SawEnd |= (header.Flags & VsockHeader.ShutdownSend) != 0;
                break;
            case VsockOperation.Reset:
                Assert.True(stream.IsFinished, "a reset of a stream that is in order");
                stream.SawEnd = true;
                stream.IsOver = true;
                break;
            default:
                Assert.Equal(VsockOperation.CreditUpdate, header.Operation);
                break;
        }
    }

    private void Send(Stream stream, VsockOperation operation, byte[]? payload = null, uint flags = 0) => vsock.Send(
        vsock.Header(operation, stream.HostPort, stream.GuestPort, (uint)(payload?.Length ?? 0), flags, (uint)stream.Read) with { BufferAllocation = allocation },
        payload);

    /// <summary>The guest's end of a stream.</summary>
    internal sealed class Stream(Socket host, uint hostPort, uint guestPort)
    {
        public Socket Host { get; } = host;

        public uint HostPort { get; } = hostPort;

        public uint GuestPort { get; } = guestPort;

        public uint HostAllocation { get; set; }

        public uint HostForwarded { get; set; }

        public uint Sent { get; set; }

        public int Received { get; set; }

        public int Read { get; set; }

        /// <summary>The guest has said that it will send no more.</summary>
        public bool IsFinished { get; set; }

        /// <summary>The host will send no more.</summary>
        public bool SawEnd { get; set; }

        /// <summary>The device has forgotten the stream.</summary>
        public bool IsOver { get; set; }
    }
}
