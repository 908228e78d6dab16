using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;

namespace Hearth.Lab.Tests;

/// <summary>virtio-vsock with a real driver and socat in the guest, Unix sockets on the host.</summary>
public sealed class VsockTests
{
    private const int Streams = 100;

    [Fact]
    public void A_hundred_streams_each_way_at_once_arrive_whole_and_are_answered_after_their_half_close()
    {
        using var monitor = new MonitorProcess();
        string kernel = Lab.BuiltKernel;
        string path = Path.Combine(monitor.Folder, "v.sock");
        // Each end sends all it has, closes its half, and expects the sum of it from the other.
        string initrd = Lab.WriteInitrd(
            monitor.Folder,
            $$"""
            printf '#!/bin/busybox sh\nexec sha256sum' > /sum; chmod +x /sum
            socat -t 100 VSOCK-LISTEN:6000,fork,backlog=128 EXEC:/sum &
            head -c 300000 /dev/urandom > /data
            : > /results
            echo LISTENING
            i=0
            while [ $i -lt {{Streams}} ]; do
              ( head -c $((i * 2900 + 1)) /data > /data.$i
                want=$(sha256sum < /data.$i); got=$(socat -t 100 - VSOCK-CONNECT:2:5000,retry=50,interval=1 < /data.$i)
                [ "$want" = "$got" ] && echo GOOD >> /results || echo "BAD $i: $got" >> /results ) &
              i=$((i + 1))
            done
            while [ $(wc -l < /results) -lt {{Streams}} ]; do sleep 0.2; done
            echo RESULTS $(sort /results | uniq -c)
            read line
            """,
            "/usr/bin/socat");
        monitor.PutBootSource(kernel, initrd, "console=ttyS0 reboot=k panic=1 quiet random.trust_cpu=on");
        monitor.PutMachine(1, 512);
        monitor.Put("/vsock", $$"""{"guest_cid": 3, "uds_path": "{{path}}"}""");
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint($"{path}_5000"));
        listener.Listen(Streams);
        var answers = new Thread(() => Answer(listener));
        monitor.Start();
        answers.Start();
        monitor.Await("LISTENING");
        monitor.WaitUntil(() => TryConnect(path) is { } first && Close(first), "somebody who listens in the guest");
        Assert.All(InParallel(i => Ask(path, i)), Assert.Empty);
        monitor.Await($"RESULTS {Streams} GOOD\n");
        listener.Close();
        answers.Join();
        monitor.Type(string.Empty);
        Assert.Equal(0, monitor.AwaitExit());
        Assert.False(File.Exists(path));
    }

    // The host's programs: connect to the guest, send, half-close, compare. What is wrong, or nothing.
    private static string Ask(string path, int number)
    {
        using Socket? socket = TryConnect(path);
        if (socket is null)
        {
            return $"{number}: refused";
        }

        using var stream = new NetworkStream(socket);
        byte[] data = RandomNumberGenerator.GetBytes((number * 2900) + 1);
        stream.Write(data);
        socket.Shutdown(SocketShutdown.Send);
        string answer = new StreamReader(stream).ReadToEnd();
        return answer == Sum(data) ? string.Empty : $"{number}: {answer}";
    }

    private static Socket? TryConnect(string path)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = 170_000, SendTimeout = 170_000 };
        socket.Connect(new UnixDomainSocketEndPoint(path));
        socket.Send("CONNECT 6000\n"u8);
        // Not a byte past the answer's line.
        var line = new StringBuilder();
        byte[] one = new byte[1];
        while (socket.Receive(one) == 1 && one[0] != '\n')
        {
            line.Append((char)one[0]);
        }

        if (line.ToString().StartsWith("OK ", StringComparison.Ordinal))
        {
            return socket;
        }

        socket.Dispose();
        return null;
    }

    private static bool Close(Socket socket)
    {
        socket.Dispose();
        return true;
    }

    // What the guest connects to: takes all, and answers with its sum; until the listener is closed.
    private static void Answer(Socket listener)
    {
        while (true)
        {
            Socket socket;
            try
            {
                socket = listener.Accept();
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                return;
            }

            new Thread(() => Answer(new NetworkStream(socket, ownsSocket: true))).Start();
        }
    }

    private static void Answer(NetworkStream stream)
    {
        using (stream)
        {
            using var data = new MemoryStream();
            try
            {
                stream.CopyTo(data);
                stream.Write(Encoding.ASCII.GetBytes(Sum(data.ToArray())));
            }
            catch (IOException)
            {
                // A guest as busy as this one gives up connecting after two seconds, and tries again.
            }
        }
    }

    // The thread pool would begin them one by one. What nobody catches in a thread ends the program.
    private static string[] InParallel(Func<int, string> work)
    {
        var results = new string[Streams];
        Thread[] threads = [.. Enumerable.Range(0, Streams).Select(i => new Thread(() =>
        {
            try
            {
                results[i] = work(i);
            }
            catch (Exception e) when (e is SocketException or IOException)
            {
                results[i] = $"{i}: {e.Message}";
            }
        }))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        return results;
    }

    // As sha256sum writes it.
    private static string Sum(byte[] data) => $"{Convert.ToHexStringLower(SHA256.HashData(data))}  -\n";
}
