using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;

namespace Hearth.Lab.Tests;

/// <summary>virtio-net with a real driver, over a TAP of the test's own.</summary>
public sealed class NetTests : IDisposable
{
    private const string Tap = "hearthtap0";
    private const int Bytes = 4 << 20;

    private bool _made;

    public void Dispose()
    {
        if (_made)
        {
            Ip("link", "del", Tap);
        }

        GC.SuppressFinalize(this);
    }

    [Fact]
    public void A_guest_pings_its_host_and_data_goes_both_ways_unharmed()
    {
        using var monitor = new MonitorProcess();
        string kernel = Lab.BuiltKernel;
        Ip("tuntap", "add", "dev", Tap, "mode", "tap");
        _made = true;
        Ip("addr", "add", "172.31.0.1/24", "dev", Tap);
        Ip("link", "set", Tap, "up");
        using TcpListener sink = Listen(out int sinkPort);
        using TcpListener source = Listen(out int sourcePort);
        string initrd = Lab.WriteInitrd(
            monitor.Folder,
            $"""
            ip addr add 172.31.0.2/24 dev eth0
            ip link set eth0 up
            echo MAC=$(cat /sys/class/net/eth0/address)
            ping -c 3 172.31.0.1 && echo PING-OK
            dd if=/dev/urandom of=/sent bs=64k count={Bytes >> 16} 2>/dev/null
            echo SENT=$(sha256sum /sent | cut -d' ' -f1)
            nc 172.31.0.1 {sinkPort} < /sent
            nc 172.31.0.1 {sourcePort} > /received < /dev/null
            echo RECEIVED=$(sha256sum /received | cut -d' ' -f1)
            """);
        monitor.PutBootSource(kernel, initrd, "console=ttyS0 reboot=k panic=1 quiet");
        monitor.Put("/network-interfaces/eth0", $$"""{"iface_id": "eth0", "host_dev_name": "{{Tap}}", "guest_mac": "06:00:ac:1f:00:02"}""");
        monitor.Start();
        monitor.Await("MAC=06:00:ac:1f:00:02");
        monitor.Await("PING-OK");
        byte[] fromGuest = Receive(sink);
        monitor.Await($"SENT={Sum(fromGuest)}");
        byte[] toGuest = RandomNumberGenerator.GetBytes(Bytes);
        using (Socket socket = source.AcceptSocket())
        {
            socket.Send(toGuest);
            socket.Shutdown(SocketShutdown.Send);
            monitor.Await($"RECEIVED={Sum(toGuest)}");
        }

        Assert.Equal(0, monitor.AwaitExit());
    }

    private static TcpListener Listen(out int port)
    {
        var listener = new TcpListener(IPAddress.Parse("172.31.0.1"), 0);
        listener.Start();
        port = ((IPEndPoint)listener.LocalEndpoint).Port;
        return listener;
    }

    private static byte[] Receive(TcpListener listener)
    {
        using Socket socket = listener.AcceptSocket();
        socket.ReceiveTimeout = 120_000;
        using var received = new MemoryStream();
        byte[] buffer = new byte[65536];
        int count;
        while (received.Length < Bytes && (count = socket.Receive(buffer)) > 0)
        {
            received.Write(buffer, 0, count);
        }

        return received.ToArray();
    }

    private static string Sum(byte[] data) => Convert.ToHexStringLower(SHA256.HashData(data));

    private static void Ip(params string[] arguments)
    {
        using Process ip = Process.Start(new ProcessStartInfo("ip", arguments) { RedirectStandardError = true })!;
        string errors = ip.StandardError.ReadToEnd();
        ip.WaitForExit();
        Assert.True(ip.ExitCode == 0, $"ip {string.Join(' ', arguments)}: {errors}");
    }
}
