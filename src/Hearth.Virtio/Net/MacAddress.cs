using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Hearth.Virtio.Net;

/// <summary>An Ethernet address. <paramref name="Value"/> holds its six bytes, the first as the most significant.</summary>
public readonly record struct MacAddress(ulong Value)
{
    public const int Bytes = 6;

    /// <summary>Six groups of two hexadecimal digits with colons between: <c>06:00:ac:10:00:02</c>.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out MacAddress address)
    {
        address = default;
        if (text is null || text.Length != (3 * Bytes) - 1)
        {
            return false;
        }

        ulong value = 0;
        for (int i = 0; i < Bytes; i++)
        {
            if (!byte.TryParse(text.AsSpan(3 * i, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte octet)
                || (i > 0 && text[(3 * i) - 1] != ':'))
            {
                return false;
            }

            value = (value << 8) | octet;
        }

        address = new MacAddress(value);
        return true;
    }

    /// <summary>The first six bytes of <paramref name="source"/>.</summary>
    public static MacAddress Read(ReadOnlySpan<byte> source)
    {
        ulong value = 0;
        foreach (byte octet in source[..Bytes])
        {
            value = (value << 8) | octet;
        }

        return new MacAddress(value);
    }

    /// <summary>Writes the six bytes to the start of <paramref name="destination"/>.</summary>
    public void Write(Span<byte> destination)
    {
        for (int i = 0; i < Bytes; i++)
        {
            destination[i] = (byte)(Value >> (8 * (Bytes - 1 - i)));
        }
    }

    public override string ToString()
    {
        Span<byte> octets = stackalloc byte[Bytes];
        Write(octets);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{octets[0]:x2}:{octets[1]:x2}:{octets[2]:x2}:{octets[3]:x2}:{octets[4]:x2}:{octets[5]:x2}");
    }
}
