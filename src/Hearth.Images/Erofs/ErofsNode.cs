using Hearth.Images.Layers;

namespace Hearth.Images.Erofs;

/// <summary>An inode, and where its parts go in the image.</summary>
internal sealed class ErofsNode(Inode inode)
{
    public Inode Inode { get; } = inode;

    /// <summary>Of a folder: the one it is in; the root is in itself.</summary>
    public ErofsNode? Parent { get; set; }

    public uint Links { get; set; }

    /// <summary>Bytes of its content: a file's, a folder's entries, a link's target; 0 for devices.</summary>
    public long Size { get; set; }

    public int XattrBytes { get; set; }

    /// <summary>Whether the content's last, partial block stands behind the inode.</summary>
    public bool Inline { get; set; }

    /// <summary>Of the inode, from the image's start.</summary>
    public long Position { get; set; }

    /// <summary>The first of the content's blocks of its own.</summary>
    public uint DataBlock { get; set; }

    /// <summary>Its number: the slot of 32 bytes it stands in.</summary>
    public ulong Nid => (ulong)Position / ErofsFormat.SlotBytes;

    public int TailBytes => (int)(Size & (ErofsFormat.BlockBytes - 1));

    /// <summary>Whole blocks outside the inode, the last perhaps padded.</summary>
    public long DataBlocks => Inline ? Size / ErofsFormat.BlockBytes : (Size + ErofsFormat.BlockBytes - 1) / ErofsFormat.BlockBytes;

    public long TailPosition => Position + ErofsFormat.InodeBytes + XattrBytes;

    /// <summary>Where a byte of the content goes in the image, and how many after it follow without a gap.</summary>
    public (long Position, long Room) Locate(long offset)
    {
        long inBlocks = Inline ? Size - TailBytes : Size;
        return offset < inBlocks
            ? (((long)DataBlock * ErofsFormat.BlockBytes) + offset, inBlocks - offset)
            : (TailPosition + (offset - inBlocks), Size - offset);
    }
}
