using System.Globalization;

namespace Hearth.Network.Cni;

/// <summary>A version of the CNI specification.</summary>
public readonly record struct CniVersion(int Major, int Minor, int Patch) : IComparable<CniVersion>
{
    /// <summary>What a configuration means that names no version.</summary>
    public static readonly CniVersion Unnamed = new(0, 1, 0);

    /// <summary>The first with CHECK, and with a previous result on DEL.</summary>
    public static readonly CniVersion WithCheck = new(0, 4, 0);

    /// <summary>The first with GC and STATUS.</summary>
    public static readonly CniVersion WithGc = new(1, 1, 0);

    /// <summary>The newest that is spoken here.</summary>
    public static readonly CniVersion Newest = new(1, 1, 0);

    public static bool operator <(CniVersion left, CniVersion right) => left.CompareTo(right) < 0;

    public static bool operator >(CniVersion left, CniVersion right) => left.CompareTo(right) > 0;

    public static bool operator <=(CniVersion left, CniVersion right) => left.CompareTo(right) <= 0;

    public static bool operator >=(CniVersion left, CniVersion right) => left.CompareTo(right) >= 0;

    public static bool TryParse(string? text, out CniVersion version)
    {
        version = default;
        string[] parts = (text ?? "").Split('.');
        if (parts.Length != 3 || !Number(parts[0], out int major) || !Number(parts[1], out int minor) || !Number(parts[2], out int patch))
        {
            return false;
        }

        version = new CniVersion(major, minor, patch);
        return true;
    }

    public int CompareTo(CniVersion other) => (Major, Minor, Patch).CompareTo((other.Major, other.Minor, other.Patch));

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Major}.{Minor}.{Patch}");

    private static bool Number(string text, out int number) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);
}
