using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using Hearth.Testing.Virtio;
using Hearth.Virtio.Vsock;

namespace Hearth.Virtio.Tests.Vsock;

/// <summary>A socket device on a bench: the test is the guest's driver, and the host's programs.</summary>
internal sealed class VsockBench : IDisposable
{
    public const uint Cid = 3;
    public const uint GuestAllocation = 64 * 1024;

    private const uint HeapBytes = 32 << 20;

    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-vsock-").FullName;
    private readonly Dictionary<ushort, FakeBuffer> _lent = [];

    /// <param name="answerTimeoutMs">How long the device waits for the guest: longer than a test, but for the one that waits for it.</param>
    public VsockBench(int answerTimeoutMs = 20_000)
    {
        Device = new VsockDevice(new VsockConfig { GuestCid = Cid, UdsPath = Path, AnswerTimeoutMs = answerTimeoutMs });
        Bench = new DeviceBench(Device, memoryBytes: 128 << 20);
        Bench.Start(heapBytes: HeapBytes);
    }

    public string Path => System.IO.Path.Combine(_folder, "v.sock");

    public VsockDevice Device { get; }

    public DeviceBench Bench { get; }

    public FakeDriver Rx => Bench.Queues[0];

    public FakeDriver Tx => Bench.Queues[1];

    /// <summary>Lends buffers for packets.</summary>
    public void Lend(int count, uint payloadBytes = 4096)
    {
        for (int i = 0; i < count; i++)
        {
            FakeBuffer buffer = Rx.Writable(VsockHeader.Bytes + payloadBytes);
            _lent.Add(Rx.Add(buffer), buffer);
        }

        Bench.Kick(0);
    }

    /// <summary>The guest sends a packet.</summary>
    public void Send(VsockHeader header, ReadOnlySpan<byte> payload = default)
    {
        Tx.Add(Tx.Readable(Packet(header, payload)));
        Bench.Kick(1);
        Tx.TakeUsed();
    }

    /// <summary>A header and what follows it.</summary>
    public byte[] Packet(VsockHeader header, ReadOnlySpan<byte> payload)
    {
        var packet = new byte[VsockHeader.Bytes + payload.Length];
        MemoryMarshal.Write(packet, header);
        payload.CopyTo(packet.AsSpan(VsockHeader.Bytes));
        return packet;
    }

    /// <summary>A reset, and a new driver.</summary>
    public void Restart()
    {
        Bench.Driver.Reset();
        _lent.Clear();
        Bench.Start(heapBytes: HeapBytes);
        Bench.Pump();
    }

    public VsockHeader Header(VsockOperation operation, uint hostPort, uint guestPort, uint length = 0, uint flags = 0, uint forwarded = 0) => new()
    {
        SourceCid = Cid,
        DestinationCid = VsockHeader.HostCid,
        SourcePort = guestPort,
        DestinationPort = hostPort,
        Type = VsockHeader.TypeStream,
        Operation = operation,
        Length = length,
        Flags = flags,
        BufferAllocation = GuestAllocation,
        ForwardedCount = forwarded,
    };

    /// <summary>The guest writes to a stream.</summary>
    public void Write(uint hostPort, uint guestPort, ReadOnlySpan<byte> payload) =>
        Send(Header(VsockOperation.ReadWrite, hostPort, guestPort, (uint)payload.Length), payload);

    /// <summary>The next packet to the guest; null if there is none.</summary>
    public (VsockHeader Header, byte[] Payload)? TryTake()
    {
        Bench.Pump();
        if (!Rx.TryTakeUsed(out UsedElement used))
        {
            return null;
        }

        Assert.True(_lent.Remove(used.Head, out FakeBuffer buffer));
        byte[] packet = Rx.Bytes(buffer)[..(int)used.Length];
        VsockHeader header = MemoryMarshal.Read<VsockHeader>(packet);
        Assert.Equal(VsockHeader.HostCid, header.SourceCid);
        Assert.Equal((ulong)Cid, header.DestinationCid);
        Assert.Equal(VsockHeader.TypeStream, header.Type);
        Assert.Equal(packet.Length, VsockHeader.Bytes + (int)header.Length);
        return (header, packet[VsockHeader.Bytes..]);
    }

    /// <summary>The next packet to the guest, which must be there and of one kind.</summary>
    public (VsockHeader Header, byte[] Payload) Take(VsockOperation operation)
    {
        (VsockHeader Header, byte[] Payload)? packet = null;
        Bench.PumpUntil(() => (packet = TryTake()) is not null, $"a packet to the guest: {operation}");
        Assert.Equal(operation, packet!.Value.Header.Operation);
        return packet.Value;
    }

    /// <summary>A host's program that listens for the guest.</summary>
    public Socket Listen(uint port)
    {
        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint($"{Path}_{port}"));
        listener.Listen(1024);
        return listener;
    }

    /// <summary>The guest connects to a host's program.</summary>
    public Socket Connect(Socket listener, uint hostPort, uint guestPort)
    {
        Send(Header(VsockOperation.Request, hostPort, guestPort));
        Socket host = listener.Accept();
        Take(VsockOperation.Response);
        return host;
    }

    /// <summary>A host's program connects, and says what it likes.</summary>
    public Socket Dial(string greeting)
    {
        Socket host = Dial(Encoding.ASCII.GetBytes(greeting));
        host.Blocking = true;
        return host;
    }

    /// <inheritdoc cref="Dial(string)"/>
    /// <returns>A socket that does not block.</returns>
    public Socket Dial(ReadOnlySpan<byte> greeting)
    {
        var host = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { Blocking = false };
        host.Connect(new UnixDomainSocketEndPoint(Path));
        host.Send(greeting);
        Bench.Pump();
        return host;
    }

    /// <summary>What a host's program reads: everything that is there now.</summary>
    public byte[] Read(Socket host)
    {
        Bench.Pump();
        var bytes = new byte[host.Available];
        Assert.Equal(bytes.Length, bytes.Length == 0 ? 0 : host.Receive(bytes));
        return bytes;
    }

    /// <summary>Whether the device has closed a host's connection, with nothing left to read.</summary>
    public bool IsClosed(Socket host)
    {
        Bench.Pump();
        return host.Poll(0, SelectMode.SelectRead) && host.Available == 0;
    }

    public void Dispose()
    {
        Bench.Dispose();
        Assert.False(File.Exists(Path));
        Directory.Delete(_folder, recursive: true);
    }
}
