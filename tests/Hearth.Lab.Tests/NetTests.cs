using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Hearth.Lab.Tests;

/// <summary>virtio-net with a real driver, over a TAP of the test's own.</summary>
public sealed class NetTests : IDisposable
{
    private const string Tap = "hearthtap0";
    private const string SecondTap = "hearthtap1";
    private const int Bytes = 4 << 20;

    private readonly List<string> _taps = [];

    public void Dispose()
    {
        foreach (string tap in _taps)
        {
            Ip("link", "del", tap);
        }

        GC.SuppressFinalize(this);
    }

    [Fact]
    public void A_guest_pings_its_host_and_data_goes_both_ways_unharmed()
    {
        using var monitor = new MonitorProcess();
        string kernel = Lab.BuiltKernel;
        MakeTap(Tap, "172.31.0.1/24");
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

    [Fact]
    public void Two_interfaces_take_jumbo_frames_and_only_the_chosen_one_reaches_the_metadata()
    {
        using var monitor = new MonitorProcess();
        string kernel = Lab.BuiltKernel;
        MakeTap(Tap, "172.31.0.1/24");
        MakeTap(SecondTap, "172.31.1.1/24");
        Ip("link", "set", Tap, "mtu", "9000");
        // Without -M do the frame would be fragmented and prove nothing. iperf3's server is busy for a moment after a client has gone.
        string initrd = Lab.WriteInitrd(
            monitor.Folder,
            """
            ip addr add 172.31.0.2/24 dev eth0; ip link set eth0 up
            ip addr add 172.31.1.2/24 dev eth1; ip link set eth1 up
            echo MTU=$(cat /sys/class/net/eth0/mtu)/$(cat /sys/class/net/eth1/mtu)
            /usr/bin/ping -c 1 -M do -s 8972 172.31.0.1 && echo JUMBO-OK
            ping -c 1 172.31.1.1 && echo SECOND-OK
            ip route add 169.254.169.254 dev eth1
            curl -s -m 3 http://169.254.169.254/ || echo OTHER-INTERFACE=$?
            ip route change 169.254.169.254 dev eth0
            curl -s -o /dev/null -w 'NO-TOKEN=%{http_code}\n' http://169.254.169.254/name
            TOKEN=$(curl -s -X PUT -H 'X-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)
            curl -s -H "X-metadata-token: $TOKEN" -H 'Accept: application/json' -w '\n' http://169.254.169.254/a
            curl -s -H "X-metadata-token: $TOKEN" http://169.254.169.254/long | sha256sum
            for way in '' -R; do n=0; until iperf3 -c 172.31.0.1 -t 2 $way >/tmp/out 2>&1 && grep -E '(sender|receiver)' /tmp/out && echo IPERF$way-OK || [ $n = 20 ]; do cat /tmp/out; n=$((n + 1)); sleep 1; done; done
            read line
            """,
            "/usr/bin/iperf3",
            "/usr/bin/curl",
            "/usr/bin/ping");
        string text = new('x', 40_000);
        string metrics = Path.Combine(monitor.Folder, "metrics");
        monitor.PutBootSource(kernel, initrd, "console=ttyS0 reboot=k panic=1 quiet");
        monitor.Put("/metrics", $$"""{"metrics_path": "{{metrics}}"}""");
        monitor.Put("/network-interfaces/eth0", $$"""{"iface_id": "eth0", "host_dev_name": "{{Tap}}", "guest_mac": "06:00:ac:1f:00:02", "mtu": 9000}""");
        monitor.Put("/network-interfaces/eth1", $$"""{"iface_id": "eth1", "host_dev_name": "{{SecondTap}}"}""");
        monitor.Put("/mmds/config", """{"version": "V2", "network_interfaces": ["eth0"]}""");
        monitor.Put("/mmds", $$"""{"a": {"b": 1}, "name": "n", "long": "{{text}}"}""");
        using Process iperf = Process.Start(new ProcessStartInfo("iperf3", ["-s", "-B", "172.31.0.1"]) { RedirectStandardOutput = true })!;
        try
        {
            monitor.Start();
            Judge(monitor, metrics, Sum(Encoding.ASCII.GetBytes(text)));
        }
        finally
        {
            iperf.Kill();
            iperf.WaitForExit();
        }

        Assert.Equal(0, monitor.AwaitExit());
    }

    private static void Judge(MonitorProcess monitor, string metrics, string longSum)
    {
        monitor.Await("MTU=9000/1500");
        monitor.Await("JUMBO-OK");
        monitor.Await("SECOND-OK");
        monitor.Await("OTHER-INTERFACE=(7|28)");
        monitor.Await("NO-TOKEN=401");
        monitor.Await("""\{"b":1\}""");
        monitor.Await(longSum);
        monitor.Await("IPERF-OK");
        monitor.Await("IPERF-R-OK");
        monitor.Put("/actions", """{"action_type": "FlushMetrics"}""");
        CheckMetrics([.. File.ReadAllLines(metrics).Select(static line => JsonNode.Parse(line)!)]);
        monitor.Type(string.Empty);
    }

    // What the guest did is what was counted: iperf3 moved megabytes on the first interface, ping little on the second.
    private static void CheckMetrics(JsonNode[] lines)
    {
        Assert.InRange(Counted(lines, "net_eth0", "tx_bytes_count"), 1 << 20, long.MaxValue);
        Assert.InRange(Counted(lines, "net_eth0", "rx_bytes_count"), 1 << 20, long.MaxValue);
        Assert.InRange(Counted(lines, "net_eth1", "rx_packets_count"), 1, 100);
        Assert.Equal(Counted(lines, "net", "tx_bytes_count"), Counted(lines, "net_eth0", "tx_bytes_count") + Counted(lines, "net_eth1", "tx_bytes_count"));
        Assert.Equal(1, Counted(lines, "mmds", "rx_no_token"));
        Assert.InRange(Counted(lines, "mmds", "tx_bytes"), 40_000, 100_000);
        Assert.InRange(Counted(lines, "vcpu", "exit_io_out"), 1, long.MaxValue);
        Assert.InRange(Counted(lines, "uart", "write_count"), 1, long.MaxValue);
        Assert.Equal(0, Counted(lines, "logger", "missed_log_count"));
    }

    // The monitor writes a line each minute besides, and each says what came since the one before.
    private static long Counted(JsonNode[] lines, string group, string counter)
    {
        Assert.NotNull(lines[^1][group]?[counter]);
        return lines.Sum(line => (long?)line[group]?[counter] ?? 0);
    }

    private void MakeTap(string name, string address)
    {
        Ip("tuntap", "add", "dev", name, "mode", "tap");
        _taps.Add(name);
        Ip("addr", "add", address, "dev", name);
        Ip("link", "set", name, "up");
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
