using System.Buffers.Binary;

namespace Hearth.Testing.Fuzzing;

/// <summary>Takes a fuzz input apart, from the front; past its end everything is zero.</summary>
public ref struct FuzzInput(ReadOnlySpan<byte> bytes)
{
    private ReadOnlySpan<byte> _rest = bytes;

    public readonly bool IsEmpty => _rest.IsEmpty;

    public byte Byte() => Take(1) is [var value] ? value : (byte)0;

    public ushort UInt16() => (ushort)Number(2);

    public uint UInt32() => (uint)Number(4);

    public ulong UInt64() => Number(8);

    /// <summary>Up to <paramref name="count"/> bytes, as many as there are.</summary>
    public ReadOnlySpan<byte> Take(int count)
    {
        ReadOnlySpan<byte> bytes = _rest[..Math.Min(count, _rest.Length)];
        _rest = _rest[bytes.Length..];
        return bytes;
    }

    private ulong Number(int bytes)
    {
        Span<byte> number = stackalloc byte[8];
        number.Clear();
        Take(bytes).CopyTo(number);
        return BinaryPrimitives.ReadUInt64LittleEndian(number);
    }
}
