using System.Text;

namespace Hearth.Images.Tests.Tar;

/// <summary>Writes archives, good and bad, byte by byte.</summary>
internal sealed class TarBuilder
{
    private readonly MemoryStream _bytes = new();

    public TarBuilder Folder(string name, int mode = 0x1ed) => Entry(name, '5', mode: mode);

    public TarBuilder File(string name, string content = "", int mode = 0x1a4) => Entry(name, '0', Encoding.UTF8.GetBytes(content), mode: mode);

    public TarBuilder Link(string name, string target) => Entry(name, '1', link: target);

    public TarBuilder Symlink(string name, string target) => Entry(name, '2', link: target);

    public TarBuilder Pax(params (string Key, string Value)[] records)
    {
        var text = new MemoryStream();
        foreach ((string key, string value) in records)
        {
            // The length counts its own digits.
            int bare = 3 + key.Length + value.Length;
            int length = bare + $"{bare}".Length;
            length = bare + $"{length}".Length;
            text.Write(Encoding.Latin1.GetBytes($"{length} {key}={value}\n"));
        }

        return Entry("pax", 'x', text.ToArray());
    }

    public TarBuilder Entry(
        string name, char type, byte[]? data = null, string link = "", int mode = 0x1a4, long? size = null, long mtime = 1_700_000_000, int uid = 0, int gid = 0, int major = 0, int minor = 0)
    {
        var block = new byte[512];
        Put(block, 0, name);
        Octal(block, 100, 8, mode);
        Octal(block, 108, 8, uid);
        Octal(block, 116, 8, gid);
        Octal(block, 124, 12, size ?? data?.Length ?? 0);
        Octal(block, 136, 12, mtime);
        block[156] = (byte)type;
        Put(block, 157, link);
        Put(block, 257, "ustar\0" + "00");
        Octal(block, 329, 8, major);
        Octal(block, 337, 8, minor);
        return Raw(block).Data(data ?? []);
    }

    /// <summary>A header block whose checksum is set here.</summary>
    public TarBuilder Raw(byte[] block)
    {
        block.AsSpan(148, 8).Fill((byte)' ');
        Octal(block, 148, 7, block.Sum(value => value));
        _bytes.Write(block);
        return this;
    }

    /// <summary>Data, padded to whole blocks.</summary>
    public TarBuilder Data(ReadOnlySpan<byte> data)
    {
        _bytes.Write(data);
        _bytes.Write(new byte[-data.Length & 511]);
        return this;
    }

    public byte[] Build() => [.. _bytes.ToArray(), .. new byte[1024]];

    public byte[] BuildWithoutEnd() => _bytes.ToArray();

    public static void Octal(byte[] block, int at, int length, long value) => Put(block, at, Convert.ToString(value, 8).PadLeft(length - 1, '0'));

    public static void Put(byte[] block, int at, string text) => Encoding.Latin1.GetBytes(text).CopyTo(block, at);
}
