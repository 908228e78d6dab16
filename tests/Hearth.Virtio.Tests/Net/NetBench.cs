using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Testing.Virtio;
using Hearth.Virtio.Net;

namespace Hearth.Virtio.Tests.Net;

/// <summary>A network interface on a bench. Its TAP is one end of a socket pair; the test is the host at the other.</summary>
internal sealed unsafe class NetBench : IDisposable
{
    public const int HeaderBytes = TapInterface.HeaderBytes;
    public const ulong MrgRxbuf = 1UL << 15;

    private readonly FileDescriptor _host;

    public NetBench(Func<NetConfig, NetConfig>? change = null, ulong features = ulong.MaxValue, INetInterceptor? interceptor = null)
    {
        (FileDescriptor tap, _host) = Pair();
        var config = new NetConfig { IfaceId = "eth0", HostDeviceName = "tap0" };
        Device = new NetDevice(change is null ? config : change(config), new TapInterface("tap0", tap)) { Interceptor = interceptor };
        Bench = new DeviceBench(Device);
        Bench.Start(features);
        Bench.Pump();
    }

    public NetDevice Device { get; }

    public DeviceBench Bench { get; }

    public FakeDriver Rx => Bench.Queues[0];

    public FakeDriver Tx => Bench.Queues[1];

    /// <summary>A device over a socket pair whose other end stays open until <paramref name="keep"/> is disposed.</summary>
    public static NetDevice Create(List<IDisposable> keep)
    {
        (FileDescriptor tap, FileDescriptor host) = Pair();
        keep.Add(host);
        var config = new NetConfig { IfaceId = "eth0", HostDeviceName = "tap0", GuestMac = new MacAddress(0x0600_ac10_0002), Mtu = 1400 };
        return new NetDevice(config, new TapInterface("tap0", tap));
    }

    /// <summary>A frame with its header: zeros, or <paramref name="flags"/>, then bytes that tell frames and places apart.</summary>
    public static byte[] Frame(int bytes, byte seed = 1, byte flags = 0)
    {
        var frame = new byte[HeaderBytes + bytes];
        frame[0] = flags;
        for (int i = HeaderBytes; i < frame.Length; i++)
        {
            frame[i] = (byte)((i * 31) + (i >> 8) + seed);
        }

        return frame;
    }

    /// <summary>The host puts a frame on the wire.</summary>
    public void HostSends(byte[] frame)
    {
        fixed (byte* bytes = frame)
        {
            Assert.Equal(frame.Length, Unistd.write(_host.Number, bytes, (nuint)frame.Length));
        }
    }

    /// <summary>What the host finds on the wire; null for nothing.</summary>
    public byte[]? HostReceives()
    {
        var frame = new byte[1 << 17];
        fixed (byte* bytes = frame)
        {
            nint got = Unistd.read(_host.Number, bytes, (nuint)frame.Length);
            return got < 0 ? null : frame[..(int)got];
        }
    }

    /// <summary>Takes one received frame from its chains, checked to be as many as its header says.</summary>
    public byte[] GuestReceives(Dictionary<ushort, FakeBuffer> lent)
    {
        var frame = new List<byte>();
        int chains = 1;
        for (int i = 0; i < chains; i++)
        {
            UsedElement used = Rx.TakeUsed();
            Assert.True(lent.Remove(used.Head, out FakeBuffer buffer));
            frame.AddRange(Rx.Bytes(buffer)[..(int)used.Length]);
            if (i == 0)
            {
                chains = frame[10] | (frame[11] << 8);
                Assert.InRange(chains, 1, 256);
                frame[10] = 0;
                frame[11] = 0;
            }
        }

        return [.. frame];
    }

    /// <summary>Lends buffers of one piece each.</summary>
    public Dictionary<ushort, FakeBuffer> Lend(int count, uint bytes)
    {
        var lent = new Dictionary<ushort, FakeBuffer>();
        for (int i = 0; i < count; i++)
        {
            FakeBuffer buffer = Rx.Writable(bytes);
            lent.Add(Rx.Add(buffer), buffer);
        }

        return lent;
    }

    public void Dispose()
    {
        Bench.Dispose();
        _host.Dispose();
    }

    private static (FileDescriptor Tap, FileDescriptor Host) Pair()
    {
        int* pair = stackalloc int[2];
        FileDescriptor.Check(
            SysSocket.socketpair(SysSocket.AF_UNIX, SysSocket.SOCK_SEQPACKET | SysSocket.SOCK_NONBLOCK | SysSocket.SOCK_CLOEXEC, 0, pair), "socketpair()");
        return (new FileDescriptor(pair[0]), new FileDescriptor(pair[1]));
    }
}
