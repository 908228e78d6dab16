using System.Buffers;

namespace Hearth.Programs.Daemon.Streaming;

/// <summary>Carries bytes both ways between a client and a port in a pod.</summary>
internal static class Relay
{
    private const int BufferBytes = 16 * 1024;

    /// <summary>Until the pod's side has ended. That the client sends no more is told to the pod, and its answer still carried.</summary>
    /// <exception cref="IOException">The pod's side broke.</exception>
    public static async Task RunAsync(DuplexStream client, DuplexStream pod, CancellationToken clientGone)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(clientGone);
        Task toPod = CopyAsync(client, pod, over.Token);
        try
        {
            await CopyAsync(pod, client, over.Token).ConfigureAwait(false);
        }
        finally
        {
            await over.CancelAsync().ConfigureAwait(false);
            try
            {
                await toPod.ConfigureAwait(false);
            }
            catch (Exception e) when (e is IOException or OperationCanceledException)
            {
                // A pod that reads no more has ended, or will: the other direction says how.
            }
        }
    }

    private static async Task CopyAsync(DuplexStream from, DuplexStream to, CancellationToken cancellation)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            int count;
            while ((count = await from.ReadAsync(buffer, cancellation).ConfigureAwait(false)) > 0)
            {
                await to.WriteAsync(buffer.AsMemory(0, count), cancellation).ConfigureAwait(false);
            }

            await to.CompleteWritesAsync(cancellation).ConfigureAwait(false);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
