using System.Net;
using System.Net.Sockets;
using Hearth.Agent.Protocol;
using Hearth.Linux;

namespace Hearth.Programs.Agent.Stdio;

/// <summary>
/// Connections from the host to what listens on the guest's loopback interface. Each is bounded in time until it is
/// connected, and all of them in number. Thread: any.
/// </summary>
internal sealed class PortForwarder
{
    private const int MaxConnections = 512;

    private static readonly TimeSpan s_beginning = TimeSpan.FromSeconds(30);

    private int _open;

    /// <summary>Takes a connection over.</summary>
    public void Take(FileDescriptor connection) => _ = ServeAsync(new SocketStream(connection));

    private async Task ServeAsync(SocketStream host)
    {
        await using (host.ConfigureAwait(false))
        {
            bool counted = Interlocked.Increment(ref _open) <= MaxConnections;
            try
            {
                if (!counted)
                {
                    await AnswerAsync(host, StdioReply.Busy).ConfigureAwait(false);
                    return;
                }

                SocketStream? guest = await BeginAsync(host).ConfigureAwait(false);
                if (guest is not null)
                {
                    await using (guest.ConfigureAwait(false))
                    {
                        await host.JoinAsync(guest, CancellationToken.None).ConfigureAwait(false);
                    }
                }
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException or OperationCanceledException)
            {
                // One side is gone, and with this the other.
            }
            finally
            {
                Interlocked.Decrement(ref _open);
            }
        }
    }

    private static async Task<SocketStream?> BeginAsync(SocketStream host)
    {
        using var limit = new CancellationTokenSource(s_beginning);
        byte[] header = new byte[PortHandshake.Length];
        await host.ReadExactlyAsync(header, limit.Token).ConfigureAwait(false);
        if (!PortHandshake.TryParse(header, out PortHandshake handshake))
        {
            await AnswerAsync(host, StdioReply.Malformed).ConfigureAwait(false);
            return null;
        }

        SocketStream? guest = await ConnectAsync(IPAddress.Loopback, handshake.Port, limit.Token).ConfigureAwait(false)
            ?? await ConnectAsync(IPAddress.IPv6Loopback, handshake.Port, limit.Token).ConfigureAwait(false);
        await AnswerAsync(host, guest is null ? StdioReply.NotFound : StdioReply.Ok).ConfigureAwait(false);
        return guest;
    }

    private static async Task<SocketStream?> ConnectAsync(IPAddress address, ushort port, CancellationToken cancellation)
    {
        Socket? socket = null;
        try
        {
            socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            await socket.ConnectAsync(new IPEndPoint(address, port), cancellation).ConfigureAwait(false);
            return new SocketStream(socket);
        }
        catch (SocketException)
        {
            // Nobody listens, or the guest has no such family.
            socket?.Dispose();
            return null;
        }
        catch
        {
            socket?.Dispose();
            throw;
        }
    }

    private static ValueTask AnswerAsync(SocketStream host, StdioReply reply) => host.WriteAsync(new[] { (byte)reply });
}
