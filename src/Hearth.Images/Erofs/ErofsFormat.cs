using System.Buffers.Binary;
using System.Numerics;
using Hearth.Images.Layers;
using Hearth.Images.Tar;

namespace Hearth.Images.Erofs;

/// <summary>
/// The on-disk structures of EROFS that are used here: extended inodes, plain and inline content, inline extended
/// attributes; no compression, so that the guest's reads are reads. Linux 5.4 and later mount it.
/// Source: Linux, Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h.
/// </summary>
internal static class ErofsFormat
{
    public const int BlockBytes = 4096;
    public const int InodeBytes = 64;
    public const int SlotBytes = 32;
    public const int SuperblockOffset = 1024;

    private const uint Magic = 0xe0f5e1e2;
    private const uint FeatureChecksum = 1;
    private const int BlockBits = 12;
    private const int XattrHeaderBytes = 12;
    private const int LayoutPlain = 0;
    private const int LayoutInline = 2;

    /// <summary>The first block, with the superblock in it.</summary>
    public static byte[] Superblock(ulong rootNid, ulong inodes, uint blocks, ReadOnlySpan<byte> uuid)
    {
        var block = new byte[BlockBytes];
        Span<byte> super = block.AsSpan(SuperblockOffset);
        BinaryPrimitives.WriteUInt32LittleEndian(super, Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(super[8..], FeatureChecksum);
        super[12] = BlockBits;
        BinaryPrimitives.WriteUInt16LittleEndian(super[14..], checked((ushort)rootNid));
        BinaryPrimitives.WriteUInt64LittleEndian(super[16..], inodes);
        BinaryPrimitives.WriteUInt32LittleEndian(super[36..], blocks);
        uuid.CopyTo(super.Slice(48, 16));
        // CRC-32C from the superblock to its block's end, with the field as zero and without the usual last inversion.
        uint crc = uint.MaxValue;
        foreach (byte value in super)
        {
            crc = BitOperations.Crc32C(crc, value);
        }

        BinaryPrimitives.WriteUInt32LittleEndian(super[4..], crc);
        return block;
    }

    /// <summary>An extended inode; <paramref name="to"/> is zero and has 64 bytes.</summary>
    public static void WriteInode(ErofsNode node, uint number, Span<byte> to)
    {
        Inode inode = node.Inode;
        BinaryPrimitives.WriteUInt16LittleEndian(to, (ushort)(1 | ((node.Inline ? LayoutInline : LayoutPlain) << 1)));
        int xattrUnits = node.XattrBytes == 0 ? 0 : ((node.XattrBytes - XattrHeaderBytes) / 4) + 1;
        BinaryPrimitives.WriteUInt16LittleEndian(to[2..], checked((ushort)xattrUnits));
        BinaryPrimitives.WriteUInt16LittleEndian(to[4..], (ushort)(TypeBits(inode.Kind) | inode.Mode));
        BinaryPrimitives.WriteInt64LittleEndian(to[8..], node.Size);
        bool device = inode.Kind is InodeKind.CharacterNode or InodeKind.BlockNode;
        BinaryPrimitives.WriteUInt32LittleEndian(to[16..], device ? DeviceNumber(inode) : node.DataBlock);
        BinaryPrimitives.WriteUInt32LittleEndian(to[20..], number);
        BinaryPrimitives.WriteUInt32LittleEndian(to[24..], inode.Uid);
        BinaryPrimitives.WriteUInt32LittleEndian(to[28..], inode.Gid);
        BinaryPrimitives.WriteInt64LittleEndian(to[32..], inode.MtimeSeconds);
        BinaryPrimitives.WriteUInt32LittleEndian(to[40..], inode.MtimeNanoseconds);
        BinaryPrimitives.WriteUInt32LittleEndian(to[44..], node.Links);
    }

    /// <summary>Bytes that extended attributes take behind the inode.</summary>
    public static int XattrBytes(IReadOnlyList<Xattr> xattrs) =>
        xattrs.Count == 0 ? 0 : XattrHeaderBytes + xattrs.Sum(xattr => Align4(4 + Suffix(xattr.Name).Length + xattr.Value.Length));

    /// <summary>Writes them; <paramref name="to"/> is zero.</summary>
    public static void WriteXattrs(IReadOnlyList<Xattr> xattrs, Span<byte> to)
    {
        to = to[XattrHeaderBytes..];
        foreach (Xattr xattr in xattrs)
        {
            byte[] suffix = RawName.Encode(Suffix(xattr.Name));
            to[0] = (byte)suffix.Length;
            to[1] = Prefix(xattr.Name);
            BinaryPrimitives.WriteUInt16LittleEndian(to[2..], checked((ushort)xattr.Value.Length));
            suffix.CopyTo(to[4..]);
            xattr.Value.CopyTo(to[(4 + suffix.Length)..]);
            to = to[Align4(4 + suffix.Length + xattr.Value.Length)..];
        }
    }

    /// <summary>The type byte of a folder's entry (FT_* of Linux).</summary>
    public static byte EntryType(InodeKind kind) => kind switch
    {
        InodeKind.File => 1,
        InodeKind.Folder => 2,
        InodeKind.CharacterNode => 3,
        InodeKind.BlockNode => 4,
        InodeKind.Fifo => 5,
        InodeKind.SymbolicLink => 7,
        _ => throw new ArgumentOutOfRangeException(nameof(kind)),
    };

    private static int TypeBits(InodeKind kind) => kind switch
    {
        InodeKind.Fifo => 0x1000,
        InodeKind.CharacterNode => 0x2000,
        InodeKind.Folder => 0x4000,
        InodeKind.BlockNode => 0x6000,
        InodeKind.File => 0x8000,
        InodeKind.SymbolicLink => 0xa000,
        _ => throw new ArgumentOutOfRangeException(nameof(kind)),
    };

    /// <summary>As new_encode_dev() of Linux.</summary>
    private static uint DeviceNumber(Inode inode) =>
        (inode.DeviceMinor & 0xff) | (inode.DeviceMajor << 8) | ((inode.DeviceMinor & ~0xffu) << 12);

    private static byte Prefix(string name) => name switch
    {
        "system.posix_acl_access" => 2,
        "system.posix_acl_default" => 3,
        _ when name.StartsWith("user.", StringComparison.Ordinal) => 1,
        _ when name.StartsWith("security.", StringComparison.Ordinal) => 6,
        _ => throw new ArgumentOutOfRangeException(nameof(name)),
    };

    private static string Suffix(string name) => Prefix(name) is 2 or 3 ? string.Empty : name[(name.IndexOf('.') + 1)..];

    private static int Align4(int bytes) => (bytes + 3) & ~3;
}
