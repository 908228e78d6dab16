using System.Net.Sockets;
using System.Text;

namespace Hearth.Firecracker;

/// <summary>Connections from the host to a guest: Firecracker's handshake on the vsock device's Unix socket. Source: Firecracker docs/vsock.md.</summary>
public static class VsockDialer
{
    // "OK 4294967295\n".
    private const int MaxAnswerBytes = 32;

    /// <summary>Connects to a port of the guest.</summary>
    /// <param name="udsPath">The vsock device's <c>uds_path</c>, as this process sees it.</param>
    /// <param name="port">The guest's port.</param>
    /// <param name="cancellation">Gives it up.</param>
    /// <exception cref="IOException">Nobody in the guest listens there, or its driver is not up yet.</exception>
    /// <exception cref="SocketException">There is no monitor at the socket.</exception>
    public static async Task<NetworkStream> DialAsync(string udsPath, uint port, CancellationToken cancellation = default)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(udsPath), cancellation).ConfigureAwait(false);
            await socket.SendAsync(Encoding.ASCII.GetBytes($"CONNECT {port}\n"), SocketFlags.None, cancellation).ConfigureAwait(false);
            await ReadAnswerAsync(socket, port, cancellation).ConfigureAwait(false);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.ConnectionReset or SocketError.Shutdown)
        {
            socket.Dispose();
            throw new IOException($"Nobody in the guest listens on port {port}.", e);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>As <see cref="DialAsync"/>, again and again until somebody in the guest listens.</summary>
    /// <exception cref="OperationCanceledException">The caller has waited long enough.</exception>
    public static async Task<NetworkStream> DialUntilAsync(string udsPath, uint port, TimeSpan pause, CancellationToken cancellation)
    {
        while (true)
        {
            try
            {
                return await DialAsync(udsPath, port, cancellation).ConfigureAwait(false);
            }
            catch (IOException)
            {
                await Task.Delay(pause, cancellation).ConfigureAwait(false);
            }
        }
    }

    // Byte by byte: what follows the line is the guest's.
    private static async Task ReadAnswerAsync(Socket socket, uint port, CancellationToken cancellation)
    {
        byte[] answer = new byte[MaxAnswerBytes];
        for (int length = 0; length < answer.Length; length++)
        {
            if (await socket.ReceiveAsync(answer.AsMemory(length, 1), SocketFlags.None, cancellation).ConfigureAwait(false) == 0)
            {
                throw new IOException($"Nobody in the guest listens on port {port}.");
            }

            if (answer[length] == '\n')
            {
                string line = Encoding.ASCII.GetString(answer, 0, length);
                if (line.StartsWith("OK ", StringComparison.Ordinal))
                {
                    return;
                }

                throw new IOException($"The vsock device answered \"{line}\" for port {port}.");
            }
        }

        throw new IOException($"The vsock device's answer for port {port} has no end.");
    }
}
