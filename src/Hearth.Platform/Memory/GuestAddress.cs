using System.Globalization;

namespace Hearth.Platform.Memory;

/// <summary>A guest-physical address, in bytes. Whatever a guest says is one of these until it has been checked.</summary>
public readonly record struct GuestAddress(ulong Value) : IComparable<GuestAddress>
{
    public static GuestAddress operator +(GuestAddress address, ulong offset) => new(unchecked(address.Value + offset));

    public static bool operator <(GuestAddress left, GuestAddress right) => left.Value < right.Value;

    public static bool operator >(GuestAddress left, GuestAddress right) => left.Value > right.Value;

    public static bool operator <=(GuestAddress left, GuestAddress right) => left.Value <= right.Value;

    public static bool operator >=(GuestAddress left, GuestAddress right) => left.Value >= right.Value;

    public int CompareTo(GuestAddress other) => Value.CompareTo(other.Value);

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"0x{Value:x}");
}
