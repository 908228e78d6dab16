namespace Hearth.Images.Tar;

/// <summary>
/// Reads an archive from a stream, once through: ustar, pax, and GNU's long names and sparse files. The archive may be
/// anybody's: every number is checked before it is used, and what is kept in memory is bounded.
/// <para>The BCL's reader is not used because it takes extended attributes and names for UTF-8 text, which
/// <c>security.capability</c> is not.</para>
/// </summary>
internal sealed class TarReader
{
    /// <summary>A pax header or a long name: many times more than any file system stores.</summary>
    public const int MaxExtendedHeaderBytes = 1 << 20;

    // Far from where adding the padding would overflow.
    private const long MaxFileBytes = 1L << 60;
    private const int MaxSparseExtents = 1 << 16;
    private const int BufferBytes = 256 << 10;

    private readonly Stream _stream;
    private readonly byte[] _buffer = new byte[BufferBytes];
    private readonly byte[] _header = new byte[TarHeader.Bytes];
    private int _start;
    private int _end;

    // What is left of the current entry in the archive, and the padding behind it.
    private long _stored;
    private int _padding;

    // The current entry's extents with bytes, and how much of the first is left.
    private readonly Queue<SparseExtent> _extents = new();
    private long _offset;
    private long _extentLeft;

    /// <param name="stream">The archive, uncompressed; stays open.</param>
    public TarReader(Stream stream) => _stream = stream;

    /// <summary>Bytes of the archive that were taken so far: after <see cref="Next"/>, where the entry's data begins.</summary>
    public long Position { get; private set; }

    /// <summary>Goes to the next entry.</summary>
    /// <returns>Null at the archive's end.</returns>
    /// <exception cref="ImageException">The archive is malformed or ends early.</exception>
    public TarEntry? Next()
    {
        PaxHeader? pax = null;
        string? longName = null;
        string? longLink = null;
        while (true)
        {
            SkipEntry();
            if (!Fill(TarHeader.Bytes))
            {
                return _start == _end ? null : throw Truncated();
            }

            Take(TarHeader.Bytes).CopyTo(_header);
            if (!_header.AsSpan().ContainsAnyExcept((byte)0))
            {
                return null;
            }

            var header = new TarHeader(_header);
            switch (header.Type)
            {
                case (byte)'x' or (byte)'X':
                    pax = PaxHeader.Parse(ReadExtended(header.Size));
                    break;
                case (byte)'g':
                    // What git and others put there is no file's.
                    ReadExtended(header.Size);
                    break;
                case (byte)'L':
                    longName = RawName.Decode(ReadExtended(header.Size).TrimEnd((byte)0));
                    break;
                case (byte)'K':
                    longLink = RawName.Decode(ReadExtended(header.Size).TrimEnd((byte)0));
                    break;
                default:
                    return Start(header, pax ?? new PaxHeader(), longName, longLink);
            }
        }
    }

    /// <summary>The next bytes of the current entry.</summary>
    /// <param name="offset">Where in the file they go; what lies between is zero.</param>
    /// <param name="bytes">Good until the next call; empty at the entry's end.</param>
    public void ReadChunk(out long offset, out ReadOnlySpan<byte> bytes)
    {
        while (_extentLeft == 0)
        {
            if (!_extents.TryDequeue(out SparseExtent extent))
            {
                offset = _offset;
                bytes = default;
                return;
            }

            (_offset, _extentLeft) = extent;
        }

        if (_start == _end && !Fill(1))
        {
            throw Truncated();
        }

        bytes = Take((int)Math.Min(_extentLeft, _end - _start));
        offset = _offset;
        _offset += bytes.Length;
        _extentLeft -= bytes.Length;
        _stored -= bytes.Length;
    }

    /// <summary>Reads the stream to its end, whatever stands there.</summary>
    public void Drain()
    {
        while (_stream.Read(_buffer) > 0)
        {
        }
    }

    private TarEntry Start(TarHeader header, PaxHeader pax, string? longName, string? longLink)
    {
        string name = pax.SparseName ?? pax.Path ?? longName ?? header.Name;
        TarEntryKind kind = header.Type switch
        {
            0 when name.EndsWith('/') => TarEntryKind.Folder,
            0 or (byte)'0' or (byte)'7' or (byte)'S' => TarEntryKind.File,
            (byte)'1' => TarEntryKind.HardLink,
            (byte)'2' => TarEntryKind.SymbolicLink,
            (byte)'3' => TarEntryKind.CharacterNode,
            (byte)'4' => TarEntryKind.BlockNode,
            (byte)'5' => TarEntryKind.Folder,
            (byte)'6' => TarEntryKind.Fifo,
            byte other => throw TarHeader.Bad($"{RawName.Show(name)} is of the unknown type 0x{other:x2}"),
        };
        long size = 0;
        if (kind == TarEntryKind.File)
        {
            size = StartFile(header, pax, name);
        }

        (long seconds, uint nanoseconds) = pax.Mtime ?? (header.Mtime, 0);
        return new TarEntry
        {
            Kind = kind,
            Name = name,
            LinkName = pax.LinkPath ?? longLink ?? header.LinkName,
            Mode = (ushort)(header.Mode & 0xfff),
            Uid = Id(pax.Uid ?? header.Uid, name),
            Gid = Id(pax.Gid ?? header.Gid, name),
            MtimeSeconds = seconds,
            MtimeNanoseconds = nanoseconds,
            DeviceMajor = Device(kind, header.DeviceMajor, 0xfff, name),
            DeviceMinor = Device(kind, header.DeviceMinor, 0xfffff, name),
            Size = size,
            Xattrs = pax.Xattrs,
        };
    }

    /// <summary>Only files have data: what a link's or folder's header says of a size is void, as in GNU tar and Go.</summary>
    private long StartFile(TarHeader header, PaxHeader pax, string name)
    {
        _stored = pax.Size ?? header.Size;
        if (_stored is < 0 or > MaxFileBytes)
        {
            throw TarHeader.Bad($"{RawName.Show(name)} has a negative size, or one that no disk has");
        }

        _padding = (int)(-_stored & (TarHeader.Bytes - 1));
        var sparse = pax.Sparse;
        long real = _stored;
        if (header.Type == (byte)'S')
        {
            real = header.SparseRealSize;
            ReadOldSparseMap(header, sparse);
        }
        else if (pax.SparseMapInData)
        {
            real = pax.SparseRealSize ?? throw TarHeader.Bad($"{RawName.Show(name)} is sparse and has no size");
            ReadSparseMap(sparse);
        }
        else if (sparse.Count > 0 || pax.SparseRealSize is not null)
        {
            real = pax.SparseRealSize ?? throw TarHeader.Bad($"{RawName.Show(name)} is sparse and has no size");
        }
        else
        {
            sparse.Add(new SparseExtent(0, _stored));
        }

        long end = 0;
        long sum = 0;
        foreach (SparseExtent extent in sparse)
        {
            // Written so that nothing overflows: every term is known to be in 0..real.
            if (extent.Offset < end || extent.Length < 0 || extent.Offset > real || extent.Length > real - extent.Offset || sparse.Count > MaxSparseExtents)
            {
                throw TarHeader.Bad($"{RawName.Show(name)} has a sparse map that makes no sense");
            }

            end = extent.Offset + extent.Length;
            sum += extent.Length;
            _extents.Enqueue(extent);
        }

        return sum == _stored ? real : throw TarHeader.Bad($"{RawName.Show(name)} has a sparse map of another size than its data");
    }

    private void ReadOldSparseMap(TarHeader header, List<SparseExtent> sparse)
    {
        TarHeader.AddSparseExtents(header.Block, 386, 4, sparse);
        bool more = header.SparseContinues;
        while (more)
        {
            if (!Fill(TarHeader.Bytes))
            {
                throw Truncated();
            }

            ReadOnlySpan<byte> block = Take(TarHeader.Bytes);
            TarHeader.AddSparseExtents(block, 0, 21, sparse);
            more = block[504] != 0;
            if (sparse.Count > MaxSparseExtents)
            {
                throw TarHeader.Bad("a sparse map is too long");
            }
        }
    }

    /// <summary>Format 1.0: decimal numbers, a line each, the first their count; padded to whole blocks of the data.</summary>
    private void ReadSparseMap(List<SparseExtent> sparse)
    {
        ReadOnlySpan<byte> block = default;
        long count = NextNumber(ref block);
        if (count is < 0 or > MaxSparseExtents)
        {
            throw TarHeader.Bad("a sparse map is too long");
        }

        for (; count > 0; count--)
        {
            long offset = NextNumber(ref block);
            sparse.Add(new SparseExtent(offset, NextNumber(ref block)));
        }
    }

    private long NextNumber(ref ReadOnlySpan<byte> block)
    {
        Span<byte> digits = stackalloc byte[24];
        for (int length = 0; length < digits.Length; length++)
        {
            if (block.IsEmpty)
            {
                if (_stored < TarHeader.Bytes || !Fill(TarHeader.Bytes))
                {
                    throw Truncated();
                }

                block = Take(TarHeader.Bytes);
                _stored -= TarHeader.Bytes;
            }

            digits[length] = block[0];
            block = block[1..];
            if (digits[length] == '\n')
            {
                return PaxHeader.Integer(digits[..length]);
            }
        }

        throw TarHeader.Bad("a sparse map's number is too long");
    }

    private Span<byte> ReadExtended(long size)
    {
        if (size is < 0 or > MaxExtendedHeaderBytes)
        {
            throw TarHeader.Bad($"an extended header of {size} bytes; {MaxExtendedHeaderBytes} is the most");
        }

        var bytes = new byte[(int)size];
        int got = 0;
        while (got < bytes.Length)
        {
            if (_start == _end && !Fill(1))
            {
                throw Truncated();
            }

            ReadOnlySpan<byte> part = Take(Math.Min(bytes.Length - got, _end - _start));
            part.CopyTo(bytes.AsSpan(got));
            got += part.Length;
        }

        _padding = (int)(-size & (TarHeader.Bytes - 1));
        return bytes;
    }

    private void SkipEntry()
    {
        _extents.Clear();
        _extentLeft = 0;
        long left = _stored + _padding;
        while (left > 0)
        {
            if (_start == _end && !Fill(1))
            {
                throw Truncated();
            }

            left -= Take((int)Math.Min(left, _end - _start)).Length;
        }

        _stored = 0;
        _padding = 0;
    }

    /// <summary>Makes at least so many bytes be in the buffer.</summary>
    private bool Fill(int bytes)
    {
        if (_end - _start >= bytes)
        {
            return true;
        }

        _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
        _end -= _start;
        _start = 0;
        while (_end < bytes)
        {
            int read = _stream.Read(_buffer, _end, _buffer.Length - _end);
            if (read == 0)
            {
                return false;
            }

            _end += read;
        }

        return true;
    }

    private ReadOnlySpan<byte> Take(int bytes)
    {
        ReadOnlySpan<byte> taken = _buffer.AsSpan(_start, bytes);
        _start += bytes;
        Position += bytes;
        return taken;
    }

    private static uint Id(long id, string name) =>
        id is >= 0 and <= uint.MaxValue ? (uint)id : throw TarHeader.Bad($"{RawName.Show(name)} has the owner {id}, which is no user or group number");

    private static uint Device(TarEntryKind kind, long number, uint max, string name) =>
        kind is not (TarEntryKind.CharacterNode or TarEntryKind.BlockNode) ? 0
        : number >= 0 && number <= max ? (uint)number
        : throw TarHeader.Bad($"{RawName.Show(name)} is a device with the number {number}, which Linux does not have");

    private static ImageException Truncated() => TarHeader.Bad("it ends early");
}
