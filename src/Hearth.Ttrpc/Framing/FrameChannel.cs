using System.Buffers;
using Google.Protobuf;

namespace Hearth.Ttrpc.Framing;

/// <summary>
/// Frames over a byte stream. Thread: one reader; any number of writers, whose frames never mix.
/// </summary>
internal sealed class FrameChannel : IAsyncDisposable
{
    private readonly Stream _stream;
    private readonly byte[] _header = new byte[FrameHeader.Size];

    // Held for the whole of a frame.
    private readonly SemaphoreSlim _writing = new(1, 1);

    public FrameChannel(Stream stream)
    {
        _stream = stream;
    }

    /// <summary>
    /// The next frame; null at the end of the stream. A frame longer than <see cref="FrameHeader.MaxLength"/> is read to
    /// its end and dropped: its header comes with a null payload.
    /// </summary>
    /// <exception cref="EndOfStreamException">The stream ended inside a frame.</exception>
    public async ValueTask<Frame?> ReadAsync(CancellationToken cancellation)
    {
        int first = await _stream.ReadAsync(_header, cancellation).ConfigureAwait(false);
        if (first == 0)
        {
            return null;
        }

        await _stream.ReadExactlyAsync(_header.AsMemory(first), cancellation).ConfigureAwait(false);
        FrameHeader header = FrameHeader.Read(_header);
        if (header.Length > FrameHeader.MaxLength)
        {
            await DiscardAsync(header.Length, cancellation).ConfigureAwait(false);
            return new Frame(header, null);
        }

        if (header.Length == 0)
        {
            return new Frame(header, []);
        }

        byte[] payload = new byte[header.Length];
        await _stream.ReadExactlyAsync(payload, cancellation).ConfigureAwait(false);
        return new Frame(header, payload);
    }

    /// <summary>Sends one frame; a null message is none at all.</summary>
    /// <exception cref="TtrpcException">ResourceExhausted: the message is longer than a frame may be. Nothing was sent.</exception>
    public async ValueTask WriteAsync(uint streamId, MessageType type, FrameFlags flags, IMessage? message, CancellationToken cancellation)
    {
        int length = message?.CalculateSize() ?? 0;
        if (length > FrameHeader.MaxLength)
        {
            throw new TtrpcException(StatusCode.ResourceExhausted, $"The message has {length} bytes; {FrameHeader.MaxLength} is the most.");
        }

        int size = FrameHeader.Size + length;
        byte[] frame = ArrayPool<byte>.Shared.Rent(size);
        try
        {
            new FrameHeader((uint)length, streamId, type, flags).Write(frame);
            message?.WriteTo(frame.AsSpan(FrameHeader.Size, length));
            await _writing.WaitAsync(cancellation).ConfigureAwait(false);
            try
            {
                // Not cancelled half-way: what follows a torn frame would be read as its rest.
                await _stream.WriteAsync(frame.AsMemory(0, size), CancellationToken.None).ConfigureAwait(false);
                await _stream.FlushAsync(CancellationToken.None).ConfigureAwait(false);
            }
            finally
            {
                _writing.Release();
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(frame);
        }
    }

    /// <summary>Closes the stream; a read or write under way fails.</summary>
    public ValueTask DisposeAsync() => _stream.DisposeAsync();

    private async ValueTask DiscardAsync(long count, CancellationToken cancellation)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(64 << 10);
        try
        {
            while (count > 0)
            {
                int part = (int)Math.Min(count, buffer.Length);
                await _stream.ReadExactlyAsync(buffer.AsMemory(0, part), cancellation).ConfigureAwait(false);
                count -= part;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}

/// <summary>A frame that was read.</summary>
/// <param name="Header">Its header.</param>
/// <param name="Payload">Its payload; null if it was too long to keep.</param>
internal readonly record struct Frame(FrameHeader Header, byte[]? Payload);
