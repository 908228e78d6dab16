using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Hearth.Vmm.Acpi.Aml;

/// <summary>
/// Writes ACPI machine language: the terms a DSDT of fixed devices is made of. A block (<c>using</c>) writes its
/// package length when it ends. Source: ACPI 6.5 §20.2.
/// </summary>
public sealed class AmlWriter
{
    private const byte ZeroOp = 0x00;
    private const byte OneOp = 0x01;
    private const byte NameOp = 0x08;
    private const byte BytePrefix = 0x0a;
    private const byte WordPrefix = 0x0b;
    private const byte DWordPrefix = 0x0c;
    private const byte StringPrefix = 0x0d;
    private const byte QWordPrefix = 0x0e;
    private const byte ScopeOp = 0x10;
    private const byte BufferOp = 0x11;
    private const byte PackageOp = 0x12;
    private const byte ExtOpPrefix = 0x5b;
    private const byte DeviceOp = 0x82;

    // A package length's last four bits sit in the lead byte, eight more in each of up to three bytes.
    private const int MaxPackageLength = (1 << 28) - 1;

    private readonly ArrayBufferWriter<byte> _bytes = new();

    public ReadOnlySpan<byte> Written => _bytes.WrittenSpan;

    /// <summary>Scope (<paramref name="name"/>) { … }</summary>
    public Block Scope(string name) => Open([ScopeOp], name);

    /// <summary>Device (<paramref name="name"/>) { … }</summary>
    public Block Device(string name) => Open([ExtOpPrefix, DeviceOp], name);

    /// <summary>Name (<paramref name="name"/>, <paramref name="value"/>)</summary>
    public void Name(string name, ulong value)
    {
        NameHead(name);
        Integer(value);
    }

    /// <summary>Name (<paramref name="name"/>, "<paramref name="text"/>")</summary>
    public void Name(string name, string text)
    {
        NameHead(name);
        Byte(StringPrefix);
        Ascii(text);
        Byte(0);
    }

    /// <summary>Name (<paramref name="name"/>, EisaId ("<paramref name="id"/>"))</summary>
    public void NameEisaId(string name, string id)
    {
        NameHead(name);
        Byte(DWordPrefix);
        BinaryPrimitives.WriteUInt32BigEndian(_bytes.GetSpan(4), EisaId(id));
        _bytes.Advance(4);
    }

    /// <summary>Name (<paramref name="name"/>, Package () { … })</summary>
    public void NamePackage(string name, ReadOnlySpan<ulong> elements)
    {
        NameHead(name);
        Byte(PackageOp);
        int start = _bytes.WrittenCount;
        Byte(checked((byte)elements.Length));
        foreach (ulong element in elements)
        {
            Integer(element);
        }

        InsertPackageLength(start);
    }

    /// <summary>Name (<paramref name="name"/>, ResourceTemplate () { … })</summary>
    public void Name(string name, ResourceTemplate resources)
    {
        ReadOnlySpan<byte> template = resources.Finish();
        NameHead(name);
        Byte(BufferOp);
        int start = _bytes.WrittenCount;
        Integer((ulong)template.Length);
        _bytes.Write(template);
        InsertPackageLength(start);
    }

    /// <summary>
    /// Writes how long a package of <paramref name="contentLength"/> bytes is with the length itself, and returns how
    /// many bytes that took: 1 to 4. ACPI 6.5 §20.2.4.
    /// </summary>
    internal static int EncodePackageLength(int contentLength, Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(contentLength);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(contentLength, MaxPackageLength - 4);
        if (contentLength + 1 < 1 << 6)
        {
            destination[0] = (byte)(contentLength + 1);
            return 1;
        }

        int size = contentLength + 2 < 1 << 12 ? 2 : contentLength + 3 < 1 << 20 ? 3 : 4;
        int total = contentLength + size;
        destination[0] = (byte)(((size - 1) << 6) | (total & 0xf));
        for (int i = 1; i < size; i++)
        {
            destination[i] = (byte)(total >> (4 + (8 * (i - 1))));
        }

        return size;
    }

    /// <summary>Three letters and four hexadecimal digits, five bits a letter. ACPI 6.5 §19.6.36.</summary>
    internal static uint EisaId(string id)
    {
        if (id.Length != 7 || !char.IsAsciiLetterUpper(id[0]) || !char.IsAsciiLetterUpper(id[1]) || !char.IsAsciiLetterUpper(id[2]))
        {
            throw new ArgumentException($"\"{id}\" is not an EISA id: three capital letters and four hexadecimal digits.", nameof(id));
        }

        uint vendor = ((uint)(id[0] - '@') << 10) | ((uint)(id[1] - '@') << 5) | (uint)(id[2] - '@');
        return (vendor << 16) | Convert.ToUInt16(id[3..], 16);
    }

    private Block Open(ReadOnlySpan<byte> op, string name)
    {
        _bytes.Write(op);
        int start = _bytes.WrittenCount;
        NamePath(name);
        return new Block(this, start);
    }

    // The content is there already: it moves up by the length's own size.
    private void InsertPackageLength(int start)
    {
        int contentLength = _bytes.WrittenCount - start;
        Span<byte> encoded = stackalloc byte[4];
        int size = EncodePackageLength(contentLength, encoded);
        byte[] content = _bytes.WrittenSpan[start..].ToArray();
        byte[] before = _bytes.WrittenSpan[..start].ToArray();
        _bytes.ResetWrittenCount();
        _bytes.Write(before);
        _bytes.Write(encoded[..size]);
        _bytes.Write(content);
    }

    private void NameHead(string name)
    {
        Byte(NameOp);
        NamePath(name);
    }

    // One segment, with or without the root before it; short ones are padded with underscores.
    private void NamePath(string name)
    {
        ReadOnlySpan<char> segment = name;
        if (segment.StartsWith("\\"))
        {
            Byte((byte)'\\');
            segment = segment[1..];
        }

        if (segment.Length is 0 or > 4)
        {
            throw new ArgumentException($"\"{name}\" is not an ACPI name of one segment of 1 to 4 characters.", nameof(name));
        }

        foreach (char c in segment)
        {
            if (!(char.IsAsciiLetterUpper(c) || char.IsAsciiDigit(c) || c == '_'))
            {
                throw new ArgumentException($"\"{name}\" has the character '{c}', which no ACPI name has.", nameof(name));
            }

            Byte((byte)c);
        }

        for (int i = segment.Length; i < 4; i++)
        {
            Byte((byte)'_');
        }
    }

    private void Integer(ulong value)
    {
        switch (value)
        {
            case 0:
                Byte(ZeroOp);
                break;
            case 1:
                Byte(OneOp);
                break;
            case <= byte.MaxValue:
                Byte(BytePrefix);
                Byte((byte)value);
                break;
            case <= ushort.MaxValue:
                Byte(WordPrefix);
                BinaryPrimitives.WriteUInt16LittleEndian(_bytes.GetSpan(2), (ushort)value);
                _bytes.Advance(2);
                break;
            case <= uint.MaxValue:
                Byte(DWordPrefix);
                BinaryPrimitives.WriteUInt32LittleEndian(_bytes.GetSpan(4), (uint)value);
                _bytes.Advance(4);
                break;
            default:
                Byte(QWordPrefix);
                BinaryPrimitives.WriteUInt64LittleEndian(_bytes.GetSpan(8), value);
                _bytes.Advance(8);
                break;
        }
    }

    private void Ascii(string text) => _bytes.Advance(Encoding.ASCII.GetBytes(text, _bytes.GetSpan(text.Length)));

    private void Byte(byte value)
    {
        _bytes.GetSpan(1)[0] = value;
        _bytes.Advance(1);
    }

    /// <summary>An open block; ending it writes its length.</summary>
    public readonly ref struct Block
    {
        private readonly AmlWriter _writer;
        private readonly int _start;

        internal Block(AmlWriter writer, int start)
        {
            _writer = writer;
            _start = start;
        }

        public void Dispose() => _writer.InsertPackageLength(_start);
    }
}
