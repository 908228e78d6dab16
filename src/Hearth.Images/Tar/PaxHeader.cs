using System.Globalization;
using System.Text;

namespace Hearth.Images.Tar;

/// <summary>
/// The records of a pax extended header: <c>LENGTH KEY=VALUE\n</c>. Values stay bytes: names and extended attributes need
/// not be text. Source: POSIX pax interchange format; GNU tar manual, "Sparse Formats"; star's <c>SCHILY.xattr</c>.
/// </summary>
internal sealed class PaxHeader
{
    private const string XattrPrefix = "SCHILY.xattr.";
    private const int MaxNumberDigits = 20;
    private const int MaxXattrs = 256;

    private readonly Dictionary<string, byte[]> _values = new(StringComparer.Ordinal);
    private long _offset;

    public List<Xattr> Xattrs { get; } = [];

    /// <summary>Extents of the sparse formats 0.0 and 0.1.</summary>
    public List<SparseExtent> Sparse { get; } = [];

    public string? Path => Text("path");

    public string? LinkPath => Text("linkpath");

    public long? Uid => Number("uid");

    public long? Gid => Number("gid");

    public long? Size => Number("size");

    /// <summary>Sparse format 1.0: the extents stand before the data.</summary>
    public bool SparseMapInData => Text("GNU.sparse.major") == "1" && Text("GNU.sparse.minor") == "0";

    public string? SparseName => Text("GNU.sparse.name");

    public long? SparseRealSize => Number("GNU.sparse.realsize") ?? Number("GNU.sparse.size");

    /// <summary>Seconds and nanoseconds; the fraction is of a larger number, also before 1970.</summary>
    public (long Seconds, uint Nanoseconds)? Mtime
    {
        get
        {
            if (Text("mtime") is not { } text)
            {
                return null;
            }

            if (text.Length > 40 || !decimal.TryParse(text, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out decimal value)
                || value is < long.MinValue or > long.MaxValue)
            {
                throw TarHeader.Bad("a pax header's mtime is no number");
            }

            decimal seconds = Math.Floor(value);
            return ((long)seconds, (uint)((value - seconds) * 1_000_000_000));
        }
    }

    /// <exception cref="ImageException">The records are malformed.</exception>
    public static PaxHeader Parse(ReadOnlySpan<byte> records)
    {
        var header = new PaxHeader();
        while (!records.IsEmpty)
        {
            int space = records[..Math.Min(records.Length, MaxNumberDigits)].IndexOf((byte)' ');
            if (space < 1 || !int.TryParse(records[..space], NumberStyles.None, CultureInfo.InvariantCulture, out int length)
                || length > records.Length || length < space + 3 || records[length - 1] != '\n')
            {
                // Some archivers pad with NULs.
                if (!records.ContainsAnyExcept((byte)0))
                {
                    break;
                }

                throw TarHeader.Bad("a pax header's record has a wrong length");
            }

            ReadOnlySpan<byte> record = records[(space + 1)..(length - 1)];
            int equals = record.IndexOf((byte)'=');
            if (equals < 1)
            {
                throw TarHeader.Bad("a pax header's record has no key");
            }

            header.Add(RawName.Decode(record[..equals]), record[(equals + 1)..]);
            records = records[length..];
        }

        return header;
    }

    private void Add(string key, ReadOnlySpan<byte> value)
    {
        if (key.StartsWith(XattrPrefix, StringComparison.Ordinal))
        {
            string name = key[XattrPrefix.Length..];
            Xattrs.RemoveAll(xattr => xattr.Name == name);
            if (Xattrs.Count == MaxXattrs)
            {
                throw TarHeader.Bad($"a file has more than {MaxXattrs} extended attributes");
            }

            Xattrs.Add(new Xattr(name, value.ToArray()));
            return;
        }

        switch (key)
        {
            case "GNU.sparse.offset":
                _offset = Integer(value);
                break;
            case "GNU.sparse.numbytes":
                Sparse.Add(new SparseExtent(_offset, Integer(value)));
                break;
            case "GNU.sparse.map":
                AddMap(value);
                break;
            default:
                _values[key] = value.ToArray();
                break;
        }
    }

    private void AddMap(ReadOnlySpan<byte> value)
    {
        long? offset = null;
        foreach (Range range in value.Split((byte)','))
        {
            long number = Integer(value[range]);
            if (offset is { } known)
            {
                Sparse.Add(new SparseExtent(known, number));
                offset = null;
            }
            else
            {
                offset = number;
            }
        }
    }

    private string? Text(string key) => _values.TryGetValue(key, out byte[]? value) && value.Length > 0 ? RawName.Decode(value) : null;

    private long? Number(string key) => _values.TryGetValue(key, out byte[]? value) && value.Length > 0 ? Integer(value) : null;

    public static long Integer(ReadOnlySpan<byte> digits) =>
        long.TryParse(digits, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long value)
            ? value
            : throw TarHeader.Bad($"\"{Encoding.Latin1.GetString(digits[..Math.Min(digits.Length, 40)])}\" in a pax header is no number");
}
