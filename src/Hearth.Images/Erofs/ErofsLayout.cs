using Hearth.Images.Layers;

namespace Hearth.Images.Erofs;

/// <summary>
/// Decides where everything of an image goes, before anything is written: the superblock's block, the inodes with what is
/// inline, then the blocks of content in the order in which the layers' archives have it. Equal trees get equal layouts.
/// </summary>
internal sealed class ErofsLayout
{
    // Blocks with room left that are tried before a new one is begun: it keeps them nine tenths full, and the search short.
    private const int OpenBlocks = 16;

    private readonly Dictionary<Inode, ErofsNode> _nodes = new(ReferenceEqualityComparer.Instance);
    private readonly List<(long Block, int Used)> _open = [];
    private long _nextBlock = 1;

    public ErofsLayout(Inode root)
    {
        Root = Collect(root);
        foreach (ErofsNode node in Nodes)
        {
            Measure(node);
            PlaceInode(node);
        }

        MetadataBlocks = _nextBlock;
        foreach (ErofsNode node in Nodes.Where(node => node.Inode.Kind != InodeKind.File).Concat(
            Nodes.Where(node => node.Inode.Kind == InodeKind.File).OrderBy(node => node.Inode.Layer).ThenBy(node => node.Inode.Ordinal)))
        {
            if (node.DataBlocks > 0)
            {
                node.DataBlock = Block(_nextBlock);
                _nextBlock += node.DataBlocks;
            }
        }

        Blocks = Block(_nextBlock);
    }

    /// <summary>In the order of a walk through the tree, by name.</summary>
    public List<ErofsNode> Nodes { get; } = [];

    public ErofsNode Root { get; }

    /// <summary>Blocks before the first of content, the superblock's counted.</summary>
    public long MetadataBlocks { get; }

    /// <summary>All blocks of the image.</summary>
    public uint Blocks { get; }

    public ErofsNode Find(Inode inode) => _nodes[inode];

    private static uint Block(long block) =>
        block <= uint.MaxValue ? (uint)block : throw new ImageException(ImageFault.TooLarge, "The image is larger than 16 TiB, which its file system format does not hold.");

    private ErofsNode Collect(Inode top)
    {
        ErofsNode root = NodeOf(top);
        root.Parent = root;
        root.Links = 2;
        var todo = new Stack<Inode>([top]);
        while (todo.TryPop(out Inode? folder))
        {
            ErofsNode parent = _nodes[folder];
            foreach ((string _, Inode child) in folder.Children!.OrderBy(child => child.Key, StringComparer.Ordinal))
            {
                ErofsNode node = NodeOf(child);
                node.Links++;
                if (child.Kind == InodeKind.Folder)
                {
                    node.Parent = parent;
                    node.Links++;
                    parent.Links++;
                    todo.Push(child);
                }
            }
        }

        return root;
    }

    private ErofsNode NodeOf(Inode inode)
    {
        if (!_nodes.TryGetValue(inode, out ErofsNode? node))
        {
            node = new ErofsNode(inode);
            _nodes.Add(inode, node);
            Nodes.Add(node);
        }

        return node;
    }

    private static void Measure(ErofsNode node)
    {
        node.XattrBytes = ErofsFormat.XattrBytes(node.Inode.Xattrs);
        node.Size = node.Inode.Kind == InodeKind.Folder ? ErofsFolder.SizeOf(node.Inode) : node.Inode.Size;
        // The kernel wants the tail in one block; the inode and the attributes before it may reach over blocks, but then
        // nothing is gained.
        node.Inline = node.TailBytes > 0 && ErofsFormat.InodeBytes + node.XattrBytes + node.TailBytes <= ErofsFormat.BlockBytes;
    }

    private void PlaceInode(ErofsNode node)
    {
        int bytes = ErofsFormat.InodeBytes + node.XattrBytes + (node.Inline ? node.TailBytes : 0);
        bytes = (bytes + ErofsFormat.SlotBytes - 1) & ~(ErofsFormat.SlotBytes - 1);
        if (bytes > ErofsFormat.BlockBytes)
        {
            node.Position = _nextBlock * ErofsFormat.BlockBytes;
            _nextBlock += (bytes + ErofsFormat.BlockBytes - 1) / ErofsFormat.BlockBytes;
            return;
        }

        int at = _open.FindIndex(open => open.Used + bytes <= ErofsFormat.BlockBytes);
        if (at < 0)
        {
            if (_open.Count == OpenBlocks)
            {
                // The fullest is the least likely to take another.
                _open.Remove(_open.MaxBy(open => open.Used));
            }

            at = _open.Count;
            _open.Add((_nextBlock++, 0));
        }

        (long block, int used) = _open[at];
        node.Position = (block * ErofsFormat.BlockBytes) + used;
        _open[at] = (block, used + bytes);
    }
}
