using System.IO.Pipelines;

namespace Hearth.Programs.Daemon.Streaming;

/// <summary>
/// What came for one of several streams of a connection and is not yet read. It holds <see cref="Capacity"/> bytes; who brings
/// more waits, and with it the connection: that is how a client is slowed down. Thread: one writer, one reader.
/// </summary>
internal sealed class InputPipe
{
    /// <summary>Bytes.</summary>
    public const int Capacity = 32 * 1024;

    private readonly Pipe _pipe = new(new PipeOptions(
        pauseWriterThreshold: Capacity, resumeWriterThreshold: Capacity / 2, minimumSegmentSize: 4096, useSynchronizationContext: false));

    // Guards what follows: the reader is taken away between two reads, never within one.
    private readonly Lock _ending = new();
    private bool _reading;
    private bool _readerGone;

    /// <summary>Nothing may be brought any more.</summary>
    public bool IsEnded { get; private set; }

    /// <summary>A place to read into from the connection; then <see cref="BroughtAsync"/>.</summary>
    public Memory<byte> Space(int wanted)
    {
        Memory<byte> space = _pipe.Writer.GetMemory(1);
        return space[..Math.Min(wanted, space.Length)];
    }

    /// <summary>Waits while the pipe is full. What comes after the reader left is dropped.</summary>
    public async ValueTask BroughtAsync(int count, CancellationToken cancellation)
    {
        _pipe.Writer.Advance(count);
        await _pipe.Writer.FlushAsync(cancellation).ConfigureAwait(false);
    }

    /// <summary>Likewise; what comes after the end is dropped.</summary>
    public async ValueTask BringAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellation)
    {
        if (!IsEnded)
        {
            await _pipe.Writer.WriteAsync(bytes, cancellation).ConfigureAwait(false);
        }
    }

    /// <summary>The reader reads what is there, then the end.</summary>
    public void End()
    {
        IsEnded = true;
        _pipe.Writer.Complete();
    }

    /// <summary>Nobody will read any more.</summary>
    public void Discard()
    {
        lock (_ending)
        {
            _readerGone = true;
            // A reader may be waiting in it: it reads the end.
            _pipe.Reader.CancelPendingRead();
            if (!_reading)
            {
                _pipe.Reader.Complete();
            }
        }
    }

    /// <returns>Bytes read; 0 at the end.</returns>
    public async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellation)
    {
        lock (_ending)
        {
            if (_readerGone || buffer.IsEmpty)
            {
                return 0;
            }

            _reading = true;
        }

        try
        {
            ReadResult result = await _pipe.Reader.ReadAsync(cancellation).ConfigureAwait(false);
            int count = (int)Math.Min(buffer.Length, result.Buffer.Length);
            CopyTo(result, buffer.Span, count);
            _pipe.Reader.AdvanceTo(result.Buffer.GetPosition(count));
            return count;
        }
        finally
        {
            lock (_ending)
            {
                _reading = false;
                if (_readerGone)
                {
                    _pipe.Reader.Complete();
                }
            }
        }
    }

    private static void CopyTo(ReadResult result, Span<byte> target, int count)
    {
        foreach (ReadOnlyMemory<byte> segment in result.Buffer.Slice(0, count))
        {
            segment.Span.CopyTo(target);
            target = target[segment.Length..];
        }
    }
}
