using System.Net.Sockets;
using Hearth.Linux;

namespace Hearth.Programs.Agent.Stdio;

/// <summary>
/// A connected stream socket of any family as a <see cref="Stream"/>. NetworkStream will not have a socket that it cannot
/// see to be connected, which one of AF_VSOCK is.
/// </summary>
internal sealed class SocketStream : Stream
{
    private const int BufferSize = 16 << 10;

    private readonly Socket _socket;

    /// <param name="connection">Owned from here on.</param>
    public SocketStream(FileDescriptor connection)
    {
        _socket = new Socket(new SafeSocketHandle(connection.Number, ownsHandle: true));
        connection.SetHandleAsInvalid();
    }

    /// <param name="socket">Connected, and owned from here on.</param>
    public SocketStream(Socket socket)
    {
        _socket = socket;
    }

    public override bool CanRead => true;

    public override bool CanWrite => true;

    public override bool CanSeek => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        try
        {
            return await _socket.ReceiveAsync(buffer, SocketFlags.None, cancellationToken).ConfigureAwait(false);
        }
        catch (SocketException e)
        {
            throw new IOException(e.Message, e);
        }
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        try
        {
            while (!buffer.IsEmpty)
            {
                buffer = buffer[await _socket.SendAsync(buffer, SocketFlags.None, cancellationToken).ConfigureAwait(false)..];
            }
        }
        catch (SocketException e)
        {
            throw new IOException(e.Message, e);
        }
    }

    /// <summary>Says that nothing more is sent. A peer that is gone need not be told.</summary>
    public void EndWriting()
    {
        try
        {
            _socket.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException)
        {
            // Gone.
        }
    }

    /// <summary>
    /// Makes this and another connection one, until both directions have ended: the end of one is handed on, and the other may go on for long. A break
    /// ends and closes both.
    /// </summary>
    /// <exception cref="IOException">One of them broke.</exception>
    /// <exception cref="ObjectDisposedException">The same, seen by the other direction.</exception>
    /// <exception cref="OperationCanceledException">The time is over.</exception>
    public Task JoinAsync(SocketStream other, CancellationToken cancellation) => Task.WhenAll(CopyToEndAsync(this, other, cancellation), CopyToEndAsync(other, this, cancellation));

    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _socket.Dispose();
        }

        base.Dispose(disposing);
    }

    private static async Task CopyToEndAsync(SocketStream from, SocketStream to, CancellationToken cancellation)
    {
        byte[] buffer = new byte[BufferSize];
        try
        {
            int count;
            while ((count = await from.ReadAsync(buffer, cancellation).ConfigureAwait(false)) > 0)
            {
                await to.WriteAsync(buffer.AsMemory(0, count), cancellation).ConfigureAwait(false);
            }

            to.EndWriting();
        }
        catch
        {
            await from.DisposeAsync().ConfigureAwait(false);
            await to.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }
}
