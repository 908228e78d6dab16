using System.Net.Sockets;
using Hearth.Agent.Protocol;
using Hearth.Linux;
using Hearth.Shim.Pods;
using Hearth.Shim.Streams;
using Hearth.Ttrpc;

namespace Hearth.Shim.Service;

/// <summary>
/// The stream socket: each connection begins with a header that says which process's stream, or which of the pod's ports, it
/// wants, and is answered with one byte. Thread: any. Source: docs/shim-protocol.md, The stream socket.
/// </summary>
internal sealed class StreamServer(Pod pod)
{
    private static readonly TimeSpan s_beginning = TimeSpan.FromSeconds(30);

    /// <summary>Serves a connection to its end, and closes it.</summary>
    public async Task ServeAsync(NetworkStream connection, CancellationToken cancellation)
    {
        await using (connection.ConfigureAwait(false))
        {
            try
            {
                using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
                limit.CancelAfter(s_beginning);
                object? header = await ReadHeaderAsync(connection, limit.Token).ConfigureAwait(false);
                switch (header)
                {
                    case PortHandshake port:
                        await ConnectAsync(connection, () => pod.Machine.ConnectPortAsync(port.Port, cancellation), cancellation).ConfigureAwait(false);
                        break;
                    case StdioHandshake stdio:
                        await ServeAsync(connection, stdio, cancellation).ConfigureAwait(false);
                        break;
                    default:
                        await AnswerAsync(connection, StdioReply.Malformed).ConfigureAwait(false);
                        break;
                }
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException or OperationCanceledException)
            {
                // The client is gone, or the shim ends.
            }
        }
    }

    private async Task ServeAsync(NetworkStream connection, StdioHandshake header, CancellationToken cancellation)
    {
        PodContainer? container = pod.Find(header.ContainerId);
        PodProcess? process = header.ExecId.Length == 0 ? container?.Init : container?.Execs.GetValueOrDefault(header.ExecId);
        if (process?.Streams is not { } streams)
        {
            await AnswerAsync(connection, StdioReply.NotFound).ConfigureAwait(false);
        }
        else if (streams.IsRelayed(header.Stream))
        {
            await ConnectAsync(connection, () => pod.Agent.OpenStdioAsync(header, cancellation), cancellation).ConfigureAwait(false);
        }
        else if (header.Stream == StdioStream.Stdin)
        {
            await FeedAsync(connection, streams.Input).ConfigureAwait(false);
        }
        else
        {
            await AttachAsync(connection, streams.Output(header.Stream)).ConfigureAwait(false);
        }
    }

    private static async Task AttachAsync(NetworkStream connection, OutputChannel? output)
    {
        Task? end = output is null ? null : await output.AttachAsync(connection, () => AnswerAsync(connection, StdioReply.Ok)).ConfigureAwait(false);
        if (end is null)
        {
            await AnswerAsync(connection, StdioReply.NotFound).ConfigureAwait(false);
            return;
        }

        await end.ConfigureAwait(false);
    }

    private static async Task FeedAsync(NetworkStream connection, InputChannel? input)
    {
        if (input is null || !input.TryTake())
        {
            await AnswerAsync(connection, input is null ? StdioReply.NotFound : StdioReply.Busy).ConfigureAwait(false);
            return;
        }

        await AnswerAsync(connection, StdioReply.Ok).ConfigureAwait(false);
        await input.FeedAsync(connection).ConfigureAwait(false);
    }

    // Connects the client to something in the guest.
    private static async Task ConnectAsync(NetworkStream client, Func<Task<Stream>> open, CancellationToken cancellation)
    {
        Stream? guest = null;
        StdioReply reply = StdioReply.Ok;
        try
        {
            guest = await open().ConfigureAwait(false);
        }
        catch (TtrpcException e)
        {
            reply = e.Code == StatusCode.FailedPrecondition ? StdioReply.Busy : StdioReply.NotFound;
        }
        catch (Exception e) when (e is HearthException or IOException or SocketException)
        {
            reply = StdioReply.NotFound;
        }

        await AnswerAsync(client, reply).ConfigureAwait(false);
        if (guest is null)
        {
            return;
        }

        await using (guest.ConfigureAwait(false))
        {
            await StreamPair.JoinAsync(client, guest, cancellation).ConfigureAwait(false);
        }
    }

    // A StdioHandshake, a PortHandshake, or null: this is neither.
    private static async Task<object?> ReadHeaderAsync(NetworkStream connection, CancellationToken cancellation)
    {
        byte[] bytes = new byte[StdioHandshake.MaxLength];
        int length = 0;
        while (true)
        {
            int count = await connection.ReadAsync(bytes.AsMemory(length), cancellation).ConfigureAwait(false);
            if (count == 0)
            {
                return null;
            }

            length += count;
            if (length <= PortHandshake.Length && PortHandshake.IsBegunBy(bytes.AsSpan(0, length)))
            {
                if (length == PortHandshake.Length)
                {
                    return PortHandshake.TryParse(bytes.AsSpan(0, length), out PortHandshake port) ? port : null;
                }

                continue;
            }

            // Who sends before it is answered has not understood the protocol.
            switch (StdioHandshake.TryParse(bytes.AsSpan(0, length), out StdioHandshake? stdio))
            {
                case 0:
                    continue;
                case int end when end == length:
                    return stdio;
                default:
                    return null;
            }
        }
    }

    private static ValueTask AnswerAsync(NetworkStream connection, StdioReply reply) => connection.WriteAsync(new[] { (byte)reply });
}
