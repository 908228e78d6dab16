namespace Hearth.Virtio.Vsock;

/// <summary>Bytes on their way from the guest to a host that does not read as fast; a ring, there only while it is needed.</summary>
internal sealed class PendingBytes
{
    /// <summary>How many rings are kept for later, rather than left to the garbage collector.</summary>
    public const int MostSpare = 8;

    private readonly Stack<byte[]> _spare;
    private byte[] _ring = [];
    private int _start;

    /// <param name="spare">Rings that nobody uses, shared by the streams of a device.</param>
    public PendingBytes(Stack<byte[]> spare) => _spare = spare;

    public int Count { get; private set; }

    /// <summary>The oldest bytes, in one piece; maybe not all.</summary>
    public ReadOnlySpan<byte> First => _ring.AsSpan(_start, Math.Min(Count, _ring.Length - _start));

    /// <summary>Room behind the newest bytes, in one piece: not empty while less than <see cref="VsockStream.BufferBytes"/> are held.</summary>
    public Span<byte> Room
    {
        get
        {
            if (_ring.Length == 0)
            {
                _ring = _spare.TryPop(out byte[]? ring) ? ring : GC.AllocateUninitializedArray<byte>((int)VsockStream.BufferBytes);
            }

            int end = (_start + Count) % _ring.Length;
            return _ring.AsSpan(end, Math.Min(_ring.Length - Count, _ring.Length - end));
        }
    }

    /// <summary>The first <paramref name="count"/> bytes of <see cref="Room"/> have been filled.</summary>
    public void Added(int count) => Count += count;

    /// <summary>The oldest <paramref name="count"/> bytes are gone.</summary>
    public void Removed(int count)
    {
        Count -= count;
        _start = Count == 0 ? 0 : (_start + count) % _ring.Length;
        if (Count == 0 && _ring.Length > 0)
        {
            if (_spare.Count < MostSpare)
            {
                _spare.Push(_ring);
            }

            _ring = [];
        }
    }
}
