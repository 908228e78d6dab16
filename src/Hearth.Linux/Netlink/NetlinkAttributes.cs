using System.Buffers.Binary;
using System.Text;
using Hearth.Linux.Native;

namespace Hearth.Linux.Netlink;

/// <summary>Attributes as the kernel sent them: a walk over type and value that ends at the first that does not fit. Source: netlink(7).</summary>
internal ref struct NetlinkAttributes(ReadOnlySpan<byte> rest)
{
    private ReadOnlySpan<byte> _rest = rest;

    /// <summary>The type, without its flags.</summary>
    public ushort Type { get; private set; }

    public ReadOnlySpan<byte> Value { get; private set; }

    /// <summary>The value as a number; 0 if it is too short for one.</summary>
    public readonly uint Number => Value.Length >= 4 ? BinaryPrimitives.ReadUInt32LittleEndian(Value) : 0;

    /// <summary>The value as a zero-terminated string.</summary>
    public readonly string Text => Encoding.UTF8.GetString(Value.TrimEnd((byte)0));

    public bool Next()
    {
        if (_rest.Length < 4 || BinaryPrimitives.ReadUInt16LittleEndian(_rest) is var length && (length < 4 || length > _rest.Length))
        {
            return false;
        }

        Type = (ushort)(BinaryPrimitives.ReadUInt16LittleEndian(_rest[2..]) & LinuxRtnetlink.NLA_TYPE_MASK);
        Value = _rest[4..length];
        _rest = _rest[Math.Min((length + 3) & ~3, _rest.Length)..];
        return true;
    }
}
