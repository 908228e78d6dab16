using Hearth.Images.Layers;
using Hearth.Images.Oci;
using Hearth.Images.Tar;
using Microsoft.Win32.SafeHandles;

namespace Hearth.Images.Erofs;

/// <summary>
/// An EROFS image being written: first what is known from the tree, then files' bytes in any order and from any thread,
/// then the superblock, without which nothing mounts it.
/// </summary>
internal sealed class ErofsImage
{
    private const int MetadataBuffer = 1 << 20;

    private readonly ErofsLayout _layout;
    private readonly SafeFileHandle _file;

    /// <param name="root">The tree.</param>
    /// <param name="file">Empty, and open for reading and writing.</param>
    public ErofsImage(Inode root, SafeFileHandle file)
    {
        _layout = new ErofsLayout(root);
        _file = file;
    }

    public long Bytes => (long)_layout.Blocks * ErofsFormat.BlockBytes;

    public int Inodes => _layout.Nodes.Count;

    /// <summary>Writes inodes, folders, links and attributes.</summary>
    public void WriteMetadata(CancellationToken cancellation)
    {
        // Blocks that are all holes stay unwritten, at the image's end, too.
        RandomAccess.SetLength(_file, Bytes);
        var nodes = _layout.Nodes.OrderBy(node => node.Position).ToList();
        var numbers = new Dictionary<ErofsNode, uint>(ReferenceEqualityComparer.Instance);
        foreach (ErofsNode node in _layout.Nodes)
        {
            numbers.Add(node, (uint)numbers.Count + 1);
        }

        byte[] buffer = new byte[MetadataBuffer];
        long start = ErofsFormat.BlockBytes;
        foreach (ErofsNode node in nodes)
        {
            cancellation.ThrowIfCancellationRequested();
            int head = ErofsFormat.InodeBytes + node.XattrBytes;
            int bytes = head + (node.Inline ? node.TailBytes : 0);
            if (node.Position + bytes > start + buffer.Length)
            {
                RandomAccess.Write(_file, buffer.AsSpan(0, (int)Math.Min(node.Position - start, buffer.Length)), start);
                buffer.AsSpan().Clear();
                start = node.Position;
            }

            Span<byte> to = buffer.AsSpan((int)(node.Position - start), bytes);
            ErofsFormat.WriteInode(node, numbers[node], to);
            if (node.XattrBytes > 0)
            {
                ErofsFormat.WriteXattrs(node.Inode.Xattrs, to[ErofsFormat.InodeBytes..]);
            }

            if (Content(node) is { } content)
            {
                int inBlocks = content.Length - (node.Inline ? node.TailBytes : 0);
                content.AsSpan(inBlocks).CopyTo(to[head..]);
                RandomAccess.Write(_file, content.AsSpan(0, inBlocks), (long)node.DataBlock * ErofsFormat.BlockBytes);
            }
        }

        int rest = (int)((_layout.MetadataBlocks * ErofsFormat.BlockBytes) - start);
        RandomAccess.Write(_file, buffer.AsSpan(0, Math.Min(rest, buffer.Length)), start);
    }

    /// <summary>Writes some of a file's bytes.</summary>
    /// <param name="inode">The file, from the tree.</param>
    /// <param name="offset">Where in the file; with the bytes it lies within the file's size.</param>
    /// <param name="bytes">What stands there.</param>
    public void WriteFile(Inode inode, long offset, ReadOnlySpan<byte> bytes)
    {
        ErofsNode node = _layout.Find(inode);
        while (!bytes.IsEmpty)
        {
            (long position, long room) = node.Locate(offset);
            int part = (int)Math.Min(bytes.Length, room);
            RandomAccess.Write(_file, bytes[..part], position);
            bytes = bytes[part..];
            offset += part;
        }
    }

    /// <summary>Reads back the start of a file.</summary>
    public byte[] ReadFile(Inode inode, int maxBytes)
    {
        ErofsNode node = _layout.Find(inode);
        var bytes = new byte[(int)Math.Min(maxBytes, node.Size)];
        int got = 0;
        while (got < bytes.Length)
        {
            (long position, long room) = node.Locate(got);
            got += RandomAccess.Read(_file, bytes.AsSpan(got, (int)Math.Min(room, bytes.Length - got)), position);
        }

        return bytes;
    }

    /// <summary>Writes the superblock.</summary>
    /// <param name="identity">What the image's UUID is made of.</param>
    public void Finish(Digest identity)
    {
        byte[] uuid = Convert.FromHexString(identity.Hex[..32]);
        RandomAccess.Write(_file, ErofsFormat.Superblock(_layout.Root.Nid, (ulong)Inodes, _layout.Blocks, uuid), 0);
    }

    private byte[]? Content(ErofsNode node) => node.Inode.Kind switch
    {
        InodeKind.Folder => ErofsFolder.Write(node, _layout.Find),
        InodeKind.SymbolicLink => RawName.Encode(node.Inode.LinkTarget),
        _ => null,
    };
}
