using System.Net.Sockets;
using Hearth.Linux;
using Hearth.Testing.Fuzzing;
using Hearth.Virtio.Block;
using Hearth.Virtio.Fs;
using Hearth.Virtio.RateLimiting;
using Hearth.Virtio.Rng;
using Hearth.Virtio.Tests.Block;
using Hearth.Virtio.Tests.Net;
using Hearth.Virtio.Tests.VhostUser;
using Hearth.Virtio.Tests.Vsock;
using Hearth.Virtio.Vsock;

namespace Hearth.Virtio.Tests.Fuzzing;

/// <summary>Hostile guests, a target each; <c>fuzz/run NAME</c> runs one of them for long.</summary>
public class FuzzTests
{
    [Fact]
    public void Fuzz_block()
    {
        using var file = new TemporaryFile(new byte[64 << 10]);
        Fuzzer.Run("block", input =>
        {
            using var target = new DeviceFuzzTarget(new BlockDevice(new BlockConfig { DriveId = "d", Path = file.Path, CacheType = BlockCacheType.Unsafe }));
            target.Run(input);
        });
        Assert.Equal(64 << 10, new FileInfo(file.Path).Length);
    }

    [Fact]
    public void Fuzz_net() => Fuzzer.Run("net", input =>
    {
        List<IDisposable> ends = [];
        using var target = new DeviceFuzzTarget(NetBench.Create(ends), frame => Polling.WriteWithoutBlocking((FileDescriptor)ends[0], frame.Span));
        target.Run(input);
        ends[0].Dispose();
    });

    [Fact]
    public void Fuzz_vsock()
    {
        string folder = Directory.CreateTempSubdirectory("hearth-fuzz-").FullName;
        string path = Path.Combine(folder, "v");
        using Socket listener = Listen($"{path}_52");
        Fuzzer.Run("vsock", input =>
        {
            List<Socket> hosts = [];
            using (var target = new DeviceFuzzTarget(new VsockDevice(new VsockConfig { GuestCid = 3, UdsPath = path }), bytes => Say(bytes, hosts)))
            {
                target.Run(input);
            }

            hosts.ForEach(static host => host.Dispose());
            while (listener.Poll(0, SelectMode.SelectRead))
            {
                listener.Accept().Dispose();
            }
        });
        listener.Dispose();
        Directory.Delete(folder, recursive: true);

        // The host's part: the first byte chooses between a new connection, more words on the last, its end, and answering the guest.
        void Say(ReadOnlyMemory<byte> bytes, List<Socket> hosts)
        {
            switch (bytes.IsEmpty ? 0 : bytes.Span[0] % 4)
            {
                case 0:
                    var host = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { Blocking = false };
                    host.Connect(new UnixDomainSocketEndPoint(path));
                    hosts.Add(host);
                    break;
                case 1 when hosts.Count > 0 && bytes.Length > 1:
                    hosts[^1].Send(bytes.Span[1..], SocketFlags.None, out _);
                    break;
                case 2 when hosts.Count > 0:
                    hosts[^1].Dispose();
                    hosts.RemoveAt(hosts.Count - 1);
                    break;
                case 3 when listener.Poll(0, SelectMode.SelectRead):
                    hosts.Add(listener.Accept());
                    break;
            }
        }
    }

    /// <summary>A guest that knows the protocol of its socket device.</summary>
    [Fact]
    public void Fuzz_vsock_packets() => Fuzzer.Run("vsock_packets", VsockFuzzTarget.Run);

    private static Socket Listen(string path)
    {
        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen(128);
        return listener;
    }

    [Fact]
    public void Fuzz_rng() => Fuzzer.Run("rng", input =>
    {
        using var target = new DeviceFuzzTarget(new RngDevice(new RateLimiterConfig(new TokenBucketConfig(100_000, 0, 1000), null)));
        target.Run(input);
    });

    /// <summary>A guest whose file system's back end holds all requests, dies and comes back.</summary>
    [Fact]
    public void Fuzz_fs()
    {
        using var backEnd = new FakeBackEnd { Holds = true };
        Fuzzer.Run("fs", input =>
        {
            if (!backEnd.IsAlive)
            {
                backEnd.StartAgain();
            }

            using var target = new DeviceFuzzTarget(new FsDevice("tag", backEnd.Path), _ => (backEnd.IsAlive ? (Action)backEnd.Die : backEnd.StartAgain)());
            target.Run(input);
        });
    }

    /// <summary>A hostile back end.</summary>
    [Fact]
    public void Fuzz_vhost_user() => Fuzzer.Run("vhost_user", VhostUserFuzzTarget.Run);
}
