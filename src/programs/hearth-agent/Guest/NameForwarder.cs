using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Hearth.Agent.Protocol;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Programs.Agent.Stdio;
using Hearth.Ttrpc;

namespace Hearth.Programs.Agent.Guest;

/// <summary>
/// The guest's end of a resolver that is in the pod's network namespace on the host, and listens on the loopback there: Docker's, at
/// 127.0.0.11. Questions of containers go to the host over vsock, one connection each, bounded in number and time. Thread: any.
/// </summary>
internal static class NameForwarder
{
    private const int Port = 53;
    private const int LongestQuestion = 4096;
    private const int MostAtATime = 64;

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(100);
    private static readonly SemaphoreSlim s_free = new(MostAtATime, MostAtATime);
    private static readonly HashSet<IPAddress> s_started = [];

    /// <summary>Listens at an address of the loopback. Doing it twice is no error.</summary>
    /// <exception cref="TtrpcException">InvalidArgument: it is none. FailedPrecondition: somebody listens there.</exception>
    public static void Start(IPAddress address)
    {
        if (!IPAddress.IsLoopback(address))
        {
            throw new TtrpcException(StatusCode.InvalidArgument, $"{address} is no address of the loopback.");
        }

        lock (s_started)
        {
            if (!s_started.Add(address))
            {
                return;
            }

            var datagrams = new Socket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
            var connections = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                datagrams.Bind(new IPEndPoint(address, Port));
                connections.Bind(new IPEndPoint(address, Port));
                connections.Listen();
            }
            catch (SocketException e)
            {
                datagrams.Dispose();
                connections.Dispose();
                s_started.Remove(address);
                throw new TtrpcException(StatusCode.FailedPrecondition, $"Nobody can be asked for names at {address}: {e.Message}", e);
            }

            _ = ServeDatagramsAsync(datagrams);
            _ = ServeConnectionsAsync(connections);
        }
    }

    private static async Task ServeDatagramsAsync(Socket socket)
    {
        byte[] buffer = new byte[LongestQuestion];
        var anyone = new IPEndPoint(socket.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, 0);
        while (true)
        {
            await s_free.WaitAsync().ConfigureAwait(false);
            SocketReceiveFromResult received;
            try
            {
                received = await socket.ReceiveFromAsync(buffer, SocketFlags.None, anyone).ConfigureAwait(false);
            }
            catch (SocketException)
            {
                // Longer than any question, or what an earlier answer met with.
                s_free.Release();
                continue;
            }

            _ = AnswerAsync(socket, buffer[..received.ReceivedBytes], received.RemoteEndPoint);
        }
    }

    private static async Task AnswerAsync(Socket socket, byte[] question, EndPoint asker)
    {
        try
        {
            using var limit = new CancellationTokenSource(s_limit);
            SocketStream host = await ConnectAsync().ConfigureAwait(false);
            await using (host.ConfigureAwait(false))
            {
                byte[] framed = new byte[sizeof(ushort) + question.Length];
                BinaryPrimitives.WriteUInt16BigEndian(framed, (ushort)question.Length);
                question.CopyTo(framed, sizeof(ushort));
                await host.WriteAsync(framed, limit.Token).ConfigureAwait(false);
                byte[] length = new byte[sizeof(ushort)];
                await host.ReadExactlyAsync(length, limit.Token).ConfigureAwait(false);
                byte[] answer = new byte[BinaryPrimitives.ReadUInt16BigEndian(length)];
                await host.ReadExactlyAsync(answer, limit.Token).ConfigureAwait(false);
                await socket.SendToAsync(DnsMessage.ForDatagram(answer), SocketFlags.None, asker, limit.Token).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is IOException or LinuxException or SocketException or OperationCanceledException)
        {
            // Who asked asks again, or another.
        }
        finally
        {
            s_free.Release();
        }
    }

    private static async Task ServeConnectionsAsync(Socket socket)
    {
        while (true)
        {
            await s_free.WaitAsync().ConfigureAwait(false);
            try
            {
                _ = JoinAsync(await socket.AcceptAsync().ConfigureAwait(false));
            }
            catch (SocketException)
            {
                // Whoever asked has gone already; or this process has no descriptor left: then again in a moment.
                s_free.Release();
                await Task.Delay(s_pause).ConfigureAwait(false);
            }
        }
    }

    private static async Task JoinAsync(Socket connection)
    {
        using var limit = new CancellationTokenSource(s_limit);
        var asker = new SocketStream(connection);
        try
        {
            SocketStream host = await ConnectAsync().ConfigureAwait(false);
            await using (host.ConfigureAwait(false))
            {
                await asker.JoinAsync(host, limit.Token).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is IOException or LinuxException or ObjectDisposedException or OperationCanceledException)
        {
            // As above.
        }
        finally
        {
            await asker.DisposeAsync().ConfigureAwait(false);
            s_free.Release();
        }
    }

    private static Task<SocketStream> ConnectAsync() => Task.Run(static () => new SocketStream(VsockStream.Connect(LinuxVmSockets.VMADDR_CID_HOST, AgentPorts.Names)));
}
