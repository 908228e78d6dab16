using Hearth.Programs.Daemon.Streaming;

namespace Hearth.Programs.Daemon.Spdy;

/// <summary>
/// One stream that the client opened. After the client has reset it, or the connection has ended, reading gives the end and
/// what is written is dropped: a program does not stop because somebody no longer listens.
/// </summary>
internal sealed class SpdyStream : DuplexStream
{
    private readonly SpdyConnection _connection;
    private int _written;
    private int _remoteEnded;

    internal SpdyStream(SpdyConnection connection, uint id, IReadOnlyDictionary<string, string> headers)
    {
        _connection = connection;
        Id = id;
        Headers = headers;
    }

    public uint Id { get; }

    /// <summary>As the client gave them; names in any case.</summary>
    public IReadOnlyDictionary<string, string> Headers { get; }

    /// <summary>Both directions are over.</summary>
    internal bool IsOver => Volatile.Read(ref _written) != 0 && Volatile.Read(ref _remoteEnded) != 0;

    internal InputPipe Input { get; } = new();

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        Input.ReadAsync(buffer, cancellationToken);

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        Volatile.Read(ref _written) != 0 ? ValueTask.CompletedTask : _connection.SendDataAsync(this, buffer, cancellationToken);

    public override ValueTask CompleteWritesAsync(CancellationToken cancellation = default) =>
        Interlocked.Exchange(ref _written, 1) != 0 ? ValueTask.CompletedTask : _connection.SendFinAsync(this, cancellation);

    /// <summary>Drops what comes from the client.</summary>
    public void Discard() => Input.Discard();

    /// <summary>The client sends no more.</summary>
    internal void EndInput()
    {
        if (Interlocked.Exchange(ref _remoteEnded, 1) == 0)
        {
            Input.End();
        }
    }

    /// <summary>The client wants no more of this stream, or is gone.</summary>
    internal void Abandon()
    {
        Volatile.Write(ref _written, 1);
        EndInput();
    }
}
