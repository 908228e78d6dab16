using System.Net.Sockets;

namespace Hearth.Shim.Streams;

/// <summary>Two connections that are made one: what one side says the other hears, and the end of each direction is handed on by itself. Thread: any.</summary>
internal static class StreamPair
{
    private const int BufferSize = 32 << 10;

    /// <summary>Until whoever was asked has said its last, or a side breaks, or the time is over: all of that is an end, and no error. Closes neither.</summary>
    /// <param name="asker">May go on listening when it has said all.</param>
    /// <param name="asked">Is told no more when it has said all.</param>
    /// <param name="cancellation">Ends both directions.</param>
    public static async Task JoinAsync(Stream asker, Stream asked, CancellationToken cancellation)
    {
        using var broken = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        Task there = CopyAsync(asker, asked, broken);
        await CopyAsync(asked, asker, broken).ConfigureAwait(false);
        await broken.CancelAsync().ConfigureAwait(false);
        await there.ConfigureAwait(false);
    }

    private static async Task CopyAsync(Stream from, Stream to, CancellationTokenSource broken)
    {
        byte[] buffer = GC.AllocateUninitializedArray<byte>(BufferSize);
        try
        {
            int count;
            while ((count = await from.ReadAsync(buffer, broken.Token).ConfigureAwait(false)) > 0)
            {
                await to.WriteAsync(buffer.AsMemory(0, count), broken.Token).ConfigureAwait(false);
            }

            if (to is NetworkStream network)
            {
                network.Socket.Shutdown(SocketShutdown.Send);
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or OperationCanceledException or SocketException)
        {
            await broken.CancelAsync().ConfigureAwait(false);
        }
    }
}
