using Hearth.Linux.Native;
using Hearth.Virtio.Queues;

namespace Hearth.Virtio.Net;

/// <summary>
/// The chains that the guest lent for receiving, popped ahead of the frames: their pieces lie one after the other, ready
/// for one readv, and each chain is walked once however many frames come. In order, from the oldest.
/// <para>Thread: under the device's Gate. Allocates nothing after creation.</para>
/// </summary>
internal sealed unsafe class ReceiveBuffers
{
    // One piece of each readv is the device's own (see NetDevice).
    private const int MaxPieces = Virtqueue.MaxSegments - 1;

    // Twice what can be held, so that taking from the front is seldom a move.
    private readonly iovec[] _pieces = GC.AllocateUninitializedArray<iovec>(2 * Virtqueue.MaxSegments, pinned: true);
    private readonly iovec[] _lent = GC.AllocateUninitializedArray<iovec>(Virtqueue.MaxSegments, pinned: true);
    private readonly Chain[] _chains;
    private int _firstPiece;
    private int _pieceCount;
    private int _firstChain;

    /// <param name="queueSize">The most chains a guest can lend.</param>
    public ReceiveBuffers(int queueSize) => _chains = new Chain[2 * queueSize];

    /// <summary>How many chains are held.</summary>
    public int Count { get; private set; }

    /// <summary>How many bytes the held chains take.</summary>
    public uint Bytes { get; private set; }

    /// <summary>Whether another chain's pieces would be too many for one readv.</summary>
    public bool IsFull { get; private set; }

    /// <summary>
    /// Pops chains until they take <paramref name="wantedBytes"/>, or are <paramref name="mostChains"/>, or there are no
    /// more. Chains that are no buffers are given back at once.
    /// </summary>
    /// <returns>How many were given back unused.</returns>
    public int Gather(Virtqueue queue, uint wantedBytes, int mostChains)
    {
        int rejected = 0;
        // A guest that adds useless chains as fast as they come back must not hold the loop.
        while (Bytes < wantedBytes && Count < mostChains && !IsFull && rejected <= queue.Size && queue.TryPop(out DescriptorChain chain))
        {
            int pieces = chain.Writable.Length;
            if (chain.WritableBytes < TapInterface.HeaderBytes || pieces > MaxPieces)
            {
                queue.AddUsed(chain.Head, 0);
                rejected++;
                continue;
            }

            if (_pieceCount + pieces > MaxPieces)
            {
                queue.UndoPop();
                IsFull = true;
                break;
            }

            MakeRoom(pieces);
            int first = _firstPiece + _pieceCount;
            // No frame needs more of a chain than the longest frame has.
            int filled = chain.FillWritable(_pieces.AsSpan(first, pieces), 0, NetDevice.MaxFrameBytes);
            uint bytes = Math.Min(chain.WritableBytes, NetDevice.MaxFrameBytes);
            _chains[_firstChain + Count] = new Chain(chain.Head, queue.LastPopped, filled, bytes);
            Count++;
            _pieceCount += filled;
            Bytes += bytes;
        }

        return rejected;
    }

    /// <summary>
    /// The first pieces, enough for <paramref name="wantedBytes"/> if there are so many, with <paramref name="last"/>
    /// behind them, for readv. Valid until the next call of anything here.
    /// <para>Drivers cut their buffers from one page after the other: what lies side by side is lent as one piece, for
    /// each costs the kernel about as much as copying a packet.</para>
    /// </summary>
    /// <param name="wantedBytes">How long the frame may be expected to be.</param>
    /// <param name="last">Takes what the chains do not.</param>
    /// <param name="bytes">How many bytes the pieces take without <paramref name="last"/>.</param>
    public ReadOnlySpan<iovec> Lend(uint wantedBytes, iovec last, out uint bytes)
    {
        bytes = 0;
        int count = 0;
        byte* end = null;
        foreach (ref readonly iovec piece in _pieces.AsSpan(_firstPiece, _pieceCount))
        {
            if (bytes >= wantedBytes)
            {
                break;
            }

            if (piece.iov_base == end)
            {
                _lent[count - 1].iov_len += piece.iov_len;
            }
            else
            {
                _lent[count++] = piece;
            }

            // SAFETY: the pop proved iov_len bytes of guest memory at iov_base; one past them is only compared.
            end = (byte*)piece.iov_base + piece.iov_len;
            bytes += (uint)piece.iov_len;
        }

        _lent[count++] = last;
        return _lent.AsSpan(0, count);
    }

    /// <summary>Copies <paramref name="source"/> to <paramref name="offset"/>; what does not fit any more is left out.</summary>
    public void Write(uint offset, ReadOnlySpan<byte> source)
    {
        foreach (ref readonly iovec piece in _pieces.AsSpan(_firstPiece, _pieceCount))
        {
            if (source.IsEmpty)
            {
                return;
            }

            if (offset >= piece.iov_len)
            {
                offset -= (uint)piece.iov_len;
                continue;
            }

            int length = (int)Math.Min((uint)piece.iov_len - offset, (uint)source.Length);
            // SAFETY: offset + length <= iov_len, and the pop proved iov_len bytes of guest memory at iov_base.
            source[..length].CopyTo(new Span<byte>((byte*)piece.iov_base + offset, length));
            source = source[length..];
            offset = 0;
        }
    }

    /// <summary>How many chains a frame of <paramref name="bytes"/> fills, which must not be more than <see cref="Bytes"/>.</summary>
    public int ChainsFor(uint bytes)
    {
        int count = 0;
        uint room = 0;
        while (room < bytes)
        {
            room += _chains[_firstChain + count++].Bytes;
        }

        return count;
    }

    /// <summary>Gives the first <paramref name="count"/> chains back as holding a frame of <paramref name="bytes"/>.</summary>
    public void Use(Virtqueue queue, int count, uint bytes)
    {
        for (int i = 0; i < count; i++)
        {
            Chain chain = _chains[_firstChain++];
            uint used = Math.Min(bytes, chain.Bytes);
            queue.AddUsed(chain.Head, used);
            bytes -= used;
            _firstPiece += chain.Pieces;
            _pieceCount -= chain.Pieces;
            Bytes -= chain.Bytes;
        }

        Count -= count;
        IsFull = false;
        if (Count == 0)
        {
            Clear();
        }
    }

    /// <summary>Puts all held chains back into the ring, to be gathered again.</summary>
    public void PutBack(Virtqueue queue)
    {
        if (Count > 0)
        {
            queue.Rewind(_chains[_firstChain].Position);
        }

        Clear();
    }

    /// <summary>Forgets the chains: their queue is gone.</summary>
    public void Clear()
    {
        _firstPiece = 0;
        _pieceCount = 0;
        _firstChain = 0;
        Count = 0;
        Bytes = 0;
        IsFull = false;
    }

    private void MakeRoom(int pieces)
    {
        if (_firstPiece + _pieceCount + pieces > _pieces.Length)
        {
            _pieces.AsSpan(_firstPiece, _pieceCount).CopyTo(_pieces);
            _firstPiece = 0;
        }

        if (_firstChain + Count == _chains.Length)
        {
            _chains.AsSpan(_firstChain, Count).CopyTo(_chains);
            _firstChain = 0;
        }
    }

    private readonly record struct Chain(ushort Head, ushort Position, int Pieces, uint Bytes);
}
