using System.Buffers.Binary;

namespace Hearth.Images.Tar;

/// <summary>One 512-byte header block. Source: POSIX pax interchange format (ustar), GNU tar manual, "Basic Tar Format".</summary>
internal readonly ref struct TarHeader
{
    public const int Bytes = 512;

    private readonly ReadOnlySpan<byte> _block;

    /// <param name="block">512 bytes.</param>
    /// <exception cref="ImageException">The checksum is wrong.</exception>
    public TarHeader(ReadOnlySpan<byte> block)
    {
        _block = block;
        // Some old archivers added signed bytes; both sums are taken.
        long unsigned = 0;
        long signed = 0;
        for (int i = 0; i < Bytes; i++)
        {
            byte value = i is >= 148 and < 156 ? (byte)' ' : block[i];
            unsigned += value;
            signed += (sbyte)value;
        }

        long stated = Number(148, 8);
        if (stated != unsigned && stated != signed)
        {
            throw Bad("a header's checksum is wrong");
        }
    }

    public ReadOnlySpan<byte> Block => _block;

    public byte Type => _block[156];

    public long Mode => Number(100, 8);

    public long Uid => Number(108, 8);

    public long Gid => Number(116, 8);

    public long Size => Number(124, 12);

    public long Mtime => Number(136, 12);

    public string LinkName => Text(157, 100);

    public long DeviceMajor => IsUstar ? Number(329, 8) : 0;

    public long DeviceMinor => IsUstar ? Number(337, 8) : 0;

    public string Name
    {
        get
        {
            string name = Text(0, 100);
            // The prefix is POSIX's; GNU's old format has other fields there.
            bool posix = _block.Slice(257, 6).SequenceEqual("ustar\0"u8);
            return posix && _block[345] != 0 ? Text(345, 155) + "/" + name : name;
        }
    }

    /// <summary>GNU's old sparse format: the file's size with its holes.</summary>
    public long SparseRealSize => Number(483, 12);

    public bool SparseContinues => _block[482] != 0;

    private bool IsUstar => _block.Slice(257, 5).SequenceEqual("ustar"u8);

    /// <summary>GNU's old sparse format: the extents in the header (4 from byte 386) or in a block after it (21 from byte 0).</summary>
    public static void AddSparseExtents(ReadOnlySpan<byte> block, int from, int count, List<SparseExtent> extents)
    {
        for (int i = 0; i < count && block[from + (i * 24)] != 0; i++)
        {
            extents.Add(new SparseExtent(Number(block.Slice(from + (i * 24), 12)), Number(block.Slice(from + (i * 24) + 12, 12))));
        }
    }

    public static ImageException Bad(string what) => new(ImageFault.BadContent, $"The archive cannot be read: {what}. Have it made or pushed again.");

    private string Text(int from, int length)
    {
        ReadOnlySpan<byte> field = _block.Slice(from, length);
        int end = field.IndexOf((byte)0);
        return RawName.Decode(end < 0 ? field : field[..end]);
    }

    private long Number(int from, int length) => Number(_block.Slice(from, length));

    /// <summary>Octal digits between spaces and NULs, or GNU's base 256 where the first bit is set.</summary>
    private static long Number(ReadOnlySpan<byte> field)
    {
        if ((field[0] & 0x80) != 0)
        {
            return Base256(field);
        }

        ReadOnlySpan<byte> digits = field.Trim(" \0"u8);
        long value = 0;
        foreach (byte digit in digits)
        {
            if (digit is < (byte)'0' or > (byte)'7')
            {
                throw Bad("a number in a header is none");
            }

            // 12 digits at most: no overflow.
            value = (value << 3) | (uint)(digit - '0');
        }

        return value;
    }

    private static long Base256(ReadOnlySpan<byte> field)
    {
        bool negative = (field[0] & 0x40) != 0;
        ReadOnlySpan<byte> high = field[..^8];
        // Of 12 bytes the first four only repeat the sign; the very first has the marker, too.
        byte sign = negative ? (byte)0xff : (byte)0;
        long value = field.Length > 8 ? BinaryPrimitives.ReadInt64BigEndian(field[^8..]) : ShortBase256(field, negative);
        bool fits = field.Length <= 8 || (((byte)(high[0] | 0x80) == (byte)(sign | 0x80)) && !high[1..].ContainsAnyExcept(sign) && value < 0 == negative);
        return fits ? value : throw Bad("a number in a header is too large");
    }

    private static long ShortBase256(ReadOnlySpan<byte> field, bool negative)
    {
        long value = negative ? -1 : 0;
        for (int i = 0; i < field.Length; i++)
        {
            byte part = i > 0 ? field[i] : negative ? field[0] : (byte)(field[0] & 0x7f);
            value = (value << 8) | part;
        }

        return value;
    }
}
