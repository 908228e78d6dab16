using System.Buffers;
using System.Buffers.Binary;
using System.Collections.Concurrent;

namespace Hearth.Programs.Daemon.Spdy;

/// <summary>
/// The server's side of SPDY/3.1 as Kubernetes' clients speak it: the client opens streams, this side answers. Windows are not
/// kept, as no such client sends WINDOW_UPDATE: what slows a fast side down is TCP, and a stream that nobody reads holds up
/// the others behind it. Memory is bounded by <see cref="MaxStreams"/> pipes.
/// <para>Thread: <see cref="RunAsync"/> reads; writes come from any.</para>
/// </summary>
internal sealed class SpdyConnection : IAsyncDisposable
{
    /// <summary>Streams open at a time; port-forwarding takes two a connection.</summary>
    public const int MaxStreams = 512;

    /// <summary>Bytes of a control frame.</summary>
    public const int MaxControlFrame = 16 * 1024;

    // Larger writes are several frames, so that streams take turns.
    private const int MaxDataFrame = 32 * 1024;

    private static readonly TimeSpan s_farewell = TimeSpan.FromSeconds(10);

    private readonly Stream _transport;
    private readonly Func<SpdyStream, bool> _accept;
    private readonly ConcurrentDictionary<uint, SpdyStream> _streams = new();
    private readonly HeaderInflater _inflater = new();
    private readonly HeaderDeflater _deflater = new();
    private readonly byte[] _buffer = new byte[16 * 1024];

    // Guards _transport's writing side, _deflater and _written.
    private readonly SemaphoreSlim _writing = new(1, 1);
    private readonly CancellationTokenSource _closed = new();
    private readonly CancellationTokenSource _aborted = new();
    private readonly TaskCompletionSource _readingEnded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _at;
    private int _filled;
    private uint _lastStream;
    private bool _leaving;
    private bool _gone;

    /// <param name="transport">Both directions; stays the caller's.</param>
    /// <param name="accept">Asked, on the reading thread, for each stream the client opens.</param>
    public SpdyConnection(Stream transport, Func<SpdyStream, bool> accept)
    {
        _transport = transport;
        _accept = accept;
    }

    /// <summary>Cancelled when the client is gone.</summary>
    public CancellationToken Closed => _closed.Token;

    /// <summary>Reads frames until the connection ends.</summary>
    /// <exception cref="SpdyException">The client does not keep to the protocol. It has been told.</exception>
    public async Task RunAsync(CancellationToken cancellation)
    {
        using CancellationTokenRegistration end = cancellation.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), _aborted);
        cancellation = _aborted.Token;
        try
        {
            var header = new byte[SpdyFrameHeader.Size];
            while (await FillAsync(header, cancellation).ConfigureAwait(false))
            {
                await TakeFrameAsync(SpdyFrameHeader.Read(header), cancellation).ConfigureAwait(false);
            }
        }
        catch (SpdyException)
        {
            await SayGoodbyeAsync(status: 1).ConfigureAwait(false);
            throw;
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // The client went away in the middle of something: the end, like any other.
        }
        finally
        {
            foreach (SpdyStream stream in _streams.Values)
            {
                stream.Abandon();
            }

            _streams.Clear();
            await _closed.CancelAsync().ConfigureAwait(false);
            _readingEnded.SetResult();
        }
    }

    /// <summary>
    /// Says that this was all, then waits for the client to close: closing over bytes that were not read would take from the
    /// client what was written last. Gives up on a client that does not.
    /// </summary>
    public async Task CloseAsync()
    {
        _leaving = true;
        await SayGoodbyeAsync(status: 0).ConfigureAwait(false);
        foreach (SpdyStream stream in _streams.Values)
        {
            stream.Discard();
        }

        try
        {
            await _readingEnded.Task.WaitAsync(s_farewell).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // It had its time.
        }
    }

    /// <summary>Ends <see cref="RunAsync"/>, which must have been called, and waits for its end.</summary>
    public async ValueTask DisposeAsync()
    {
        await _aborted.CancelAsync().ConfigureAwait(false);
        await _readingEnded.Task.ConfigureAwait(false);
        _inflater.Dispose();
        _closed.Dispose();
        _writing.Dispose();
    }

    internal async ValueTask SendDataAsync(SpdyStream stream, ReadOnlyMemory<byte> data, CancellationToken cancellation)
    {
        while (!data.IsEmpty)
        {
            int count = Math.Min(data.Length, MaxDataFrame);
            byte[] frame = ArrayPool<byte>.Shared.Rent(SpdyFrameHeader.Size + count);
            try
            {
                SpdyFrameHeader.WriteData(frame, stream.Id, flags: 0, count);
                data.Span[..count].CopyTo(frame.AsSpan(SpdyFrameHeader.Size));
                await SendAsync(frame.AsMemory(0, SpdyFrameHeader.Size + count), cancellation).ConfigureAwait(false);
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(frame);
            }

            data = data[count..];
        }
    }

    internal async ValueTask SendFinAsync(SpdyStream stream, CancellationToken cancellation)
    {
        var frame = new byte[SpdyFrameHeader.Size];
        SpdyFrameHeader.WriteData(frame, stream.Id, SpdyFrameHeader.Fin, length: 0);
        await SendAsync(frame, cancellation).ConfigureAwait(false);
        Forget(stream);
    }

    private async ValueTask TakeFrameAsync(SpdyFrameHeader header, CancellationToken cancellation)
    {
        if (!header.IsControl)
        {
            await TakeDataAsync(header, cancellation).ConfigureAwait(false);
            return;
        }

        if (header.Length > MaxControlFrame)
        {
            throw new SpdyException($"a control frame of {header.Length} bytes, more than {MaxControlFrame}");
        }

        var body = new byte[header.Length];
        if (!await FillAsync(body, cancellation).ConfigureAwait(false) && body.Length > 0)
        {
            throw new SpdyException("the connection ends within a frame");
        }

        switch (header.Type)
        {
            case SpdyFrameType.SynStream:
                await OpenAsync(header, body, cancellation).ConfigureAwait(false);
                break;
            case SpdyFrameType.RstStream when body.Length >= 8:
                if (_streams.TryRemove(StreamId(body), out SpdyStream? reset))
                {
                    reset.Abandon();
                }

                break;
            case SpdyFrameType.Ping when body.Length == 4:
                // Ours would have even numbers; there are none.
                if ((body[3] & 1) != 0)
                {
                    await SendControlAsync(SpdyFrameType.Ping, body, cancellation).ConfigureAwait(false);
                }

                break;
            case SpdyFrameType.Headers when body.Length > 4:
                // Nobody needs them, but they are part of the one compressed stream.
                _inflater.Read(body.AsSpan(4));
                break;
            case SpdyFrameType.GoAway:
                _leaving = true;
                break;
            case SpdyFrameType.Settings or SpdyFrameType.WindowUpdate:
                break;
            default:
                throw new SpdyException($"a frame of type {(ushort)header.Type} and {header.Length} bytes, which the client has no reason to send");
        }
    }

    private async ValueTask OpenAsync(SpdyFrameHeader header, byte[] body, CancellationToken cancellation)
    {
        const int FixedBytes = 10;
        if (body.Length < FixedBytes)
        {
            throw new SpdyException("a SYN_STREAM that is cut off");
        }

        uint id = StreamId(body);
        Dictionary<string, string> headers = _inflater.Read(body.AsSpan(FixedBytes));
        if ((id & 1) == 0 || id <= _lastStream || (header.Flags & SpdyFrameHeader.Unidirectional) != 0)
        {
            await ResetAsync(id, SpdyResetStatus.ProtocolError, cancellation).ConfigureAwait(false);
            return;
        }

        _lastStream = id;
        var stream = new SpdyStream(this, id, headers);
        if (header.IsFin)
        {
            stream.EndInput();
        }

        if (_leaving || _streams.Count >= MaxStreams)
        {
            await ResetAsync(id, SpdyResetStatus.RefusedStream, cancellation).ConfigureAwait(false);
            return;
        }

        // Known before it is accepted: whoever accepts it may write at once, and forget it.
        _streams[id] = stream;
        await _writing.WaitAsync(cancellation).ConfigureAwait(false);
        bool accepted;
        try
        {
            // The reply is the first frame of the stream, and replies are one compressed stream.
            accepted = _accept(stream);
            if (accepted)
            {
                await _transport.WriteAsync(Reply(id), cancellation).ConfigureAwait(false);
            }
        }
        finally
        {
            _writing.Release();
        }

        if (!accepted)
        {
            _streams.TryRemove(id, out _);
            await ResetAsync(id, SpdyResetStatus.RefusedStream, cancellation).ConfigureAwait(false);
        }
    }

    private byte[] Reply(uint id)
    {
        byte[] block = _deflater.Empty();
        var frame = new byte[SpdyFrameHeader.Size + 4 + block.Length];
        SpdyFrameHeader.WriteControl(frame, SpdyFrameType.SynReply, flags: 0, 4 + block.Length);
        BinaryPrimitives.WriteUInt32BigEndian(frame.AsSpan(SpdyFrameHeader.Size), id);
        block.CopyTo(frame.AsSpan(SpdyFrameHeader.Size + 4));
        return frame;
    }

    private async ValueTask TakeDataAsync(SpdyFrameHeader header, CancellationToken cancellation)
    {
        // A stream that was reset may still have data on its way: it is dropped, as is what comes after a stream's end.
        SpdyStream? stream = _streams.GetValueOrDefault(header.StreamId);
        stream = stream is { Input.IsEnded: false } ? stream : null;
        int left = header.Length;
        while (left > 0)
        {
            int count;
            if (stream is null)
            {
                count = await ReadSomeAsync(_buffer.Length, null, cancellation).ConfigureAwait(false);
                count = Math.Min(count, left);
                _at += count;
            }
            else
            {
                count = await ReadSomeAsync(left, stream.Input.Space(left), cancellation).ConfigureAwait(false);
                await stream.Input.BroughtAsync(count, cancellation).ConfigureAwait(false);
            }

            left -= count;
        }

        if (header.IsFin && stream is not null)
        {
            stream.EndInput();
            Forget(stream);
        }
    }

    /// <summary>Reads into <paramref name="target"/>, or without one makes sure that the buffer has something.</summary>
    private async ValueTask<int> ReadSomeAsync(int wanted, Memory<byte>? target, CancellationToken cancellation)
    {
        if (_at == _filled)
        {
            _at = 0;
            _filled = await _transport.ReadAsync(_buffer, cancellation).ConfigureAwait(false);
            if (_filled == 0)
            {
                throw new EndOfStreamException();
            }
        }

        int count = Math.Min(wanted, _filled - _at);
        if (target is { } memory)
        {
            count = Math.Min(count, memory.Length);
            _buffer.AsMemory(_at, count).CopyTo(memory);
            _at += count;
        }

        return count;
    }

    /// <returns>False at the end of the connection, before the first byte.</returns>
    private async ValueTask<bool> FillAsync(Memory<byte> target, CancellationToken cancellation)
    {
        for (int done = 0; done < target.Length;)
        {
            try
            {
                done += await ReadSomeAsync(target.Length - done, target[done..], cancellation).ConfigureAwait(false);
            }
            catch (EndOfStreamException) when (done == 0)
            {
                return false;
            }
        }

        return target.Length > 0;
    }

    private async ValueTask ResetAsync(uint id, SpdyResetStatus status, CancellationToken cancellation)
    {
        var body = new byte[8];
        BinaryPrimitives.WriteUInt32BigEndian(body, id);
        BinaryPrimitives.WriteUInt32BigEndian(body.AsSpan(4), (uint)status);
        await SendControlAsync(SpdyFrameType.RstStream, body, cancellation).ConfigureAwait(false);
    }

    private async ValueTask SayGoodbyeAsync(uint status)
    {
        var body = new byte[8];
        BinaryPrimitives.WriteUInt32BigEndian(body, _lastStream);
        BinaryPrimitives.WriteUInt32BigEndian(body.AsSpan(4), status);
        using var time = new CancellationTokenSource(s_farewell);
        try
        {
            await SendControlAsync(SpdyFrameType.GoAway, body, time.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // It takes nothing any more.
        }
    }

    private ValueTask SendControlAsync(SpdyFrameType type, ReadOnlySpan<byte> body, CancellationToken cancellation)
    {
        var frame = new byte[SpdyFrameHeader.Size + body.Length];
        SpdyFrameHeader.WriteControl(frame, type, flags: 0, body.Length);
        body.CopyTo(frame.AsSpan(SpdyFrameHeader.Size));
        return SendAsync(frame, cancellation);
    }

    /// <summary>Sends one frame; to a client that is gone, nothing.</summary>
    private async ValueTask SendAsync(ReadOnlyMemory<byte> frame, CancellationToken cancellation)
    {
        try
        {
            await _writing.WaitAsync(cancellation).ConfigureAwait(false);
            try
            {
                if (!_gone)
                {
                    await _transport.WriteAsync(frame, cancellation).ConfigureAwait(false);
                }
            }
            catch
            {
                // Part of a frame may be out: nothing can follow it.
                _gone = true;
                throw;
            }
            finally
            {
                _writing.Release();
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or OperationCanceledException)
        {
            // RunAsync sees the end, and says it.
            cancellation.ThrowIfCancellationRequested();
        }
    }

    private void Forget(SpdyStream stream)
    {
        if (stream.IsOver)
        {
            _streams.TryRemove(stream.Id, out _);
        }
    }

    private static uint StreamId(ReadOnlySpan<byte> body) => BinaryPrimitives.ReadUInt32BigEndian(body) & 0x7FFF_FFFF;
}
