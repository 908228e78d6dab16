using System.Text;

namespace Hearth.Images.Tar;

/// <summary>
/// File names are bytes, and an image's need not be UTF-8. Inside, a name is a string of one character a byte (Latin-1),
/// so that nothing is lost and ordinal order is the order of bytes; these are the ways in and out.
/// </summary>
internal static class RawName
{
    public static string Decode(ReadOnlySpan<byte> bytes) => Encoding.Latin1.GetString(bytes);

    public static byte[] Encode(string name) => Encoding.Latin1.GetBytes(name);

    /// <summary>From ordinary text.</summary>
    public static string Of(string text) => Decode(Encoding.UTF8.GetBytes(text));

    /// <summary>For a person: as UTF-8, without control characters, and not endless.</summary>
    public static string Show(string name)
    {
        const int Shown = 200;
        string text = Encoding.UTF8.GetString(Encode(name.Length > Shown ? name[..Shown] + "..." : name));
        return string.Concat(text.Select(c => char.IsControl(c) ? '?' : c));
    }
}
