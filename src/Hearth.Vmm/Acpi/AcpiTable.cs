using System.Buffers.Binary;

namespace Hearth.Vmm.Acpi;

/// <summary>What all ACPI tables share: the header, and a checksum that makes all bytes sum to zero. ACPI 6.5 §5.2.6.</summary>
internal static class AcpiTable
{
    public const int HeaderSize = 36;

    private const int ChecksumOffset = 9;
    private const uint OemRevision = 1;
    private const uint CreatorRevision = 1;

    /// <summary>Hearth's name in every table.</summary>
    public static ReadOnlySpan<byte> OemId => "HEARTH"u8;

    /// <summary>A table of header and <paramref name="body"/>, checksummed.</summary>
    public static byte[] Build(ReadOnlySpan<byte> signature, byte revision, ReadOnlySpan<byte> body)
    {
        byte[] table = new byte[HeaderSize + body.Length];
        Span<byte> header = table;
        signature.CopyTo(header);
        BinaryPrimitives.WriteUInt32LittleEndian(header[4..], (uint)table.Length);
        header[8] = revision;
        OemId.CopyTo(header[10..]);
        "MICROVM "u8.CopyTo(header[16..]);
        BinaryPrimitives.WriteUInt32LittleEndian(header[24..], OemRevision);
        "HRTH"u8.CopyTo(header[28..]);
        BinaryPrimitives.WriteUInt32LittleEndian(header[32..], CreatorRevision);
        body.CopyTo(header[HeaderSize..]);
        table[ChecksumOffset] = Checksum(table);
        return table;
    }

    /// <summary>What makes <paramref name="bytes"/> sum to zero, while its own place among them is still zero.</summary>
    public static byte Checksum(ReadOnlySpan<byte> bytes)
    {
        byte sum = 0;
        foreach (byte b in bytes)
        {
            sum = unchecked((byte)(sum + b));
        }

        return unchecked((byte)-sum);
    }
}
