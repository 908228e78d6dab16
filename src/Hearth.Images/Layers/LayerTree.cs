using Hearth.Images.Tar;

namespace Hearth.Images.Layers;

/// <summary>
/// What one layer's archive says, as a tree. Nothing of a layer is unpacked anywhere: paths are names in this tree, and
/// a path that tries to leave it ends at its root. Within a layer later entries replace earlier ones, as they would on disk;
/// symbolic links of lower layers are not followed, as overlayfs under containerd and Docker does not.
/// Source: OCI image-spec, layer.md.
/// </summary>
internal sealed class LayerTree
{
    private const string WhiteoutPrefix = ".wh.";
    private const string OpaqueWhiteout = ".wh..wh..opq";
    private const string AufsPrefix = ".wh..wh.";
    private const int MaxLinkBytes = 4095;

    private readonly ImageBudget _budget;
    private readonly PathWalk _walk;
    private readonly PathWalk _look;
    private readonly int _layer;
    private int _ordinal = -1;

    public LayerTree(int layer, ImageBudget budget)
    {
        _layer = layer;
        _budget = budget;
        _walk = new PathWalk(Root, budget.AddEntry);
        _look = new PathWalk(Root);
    }

    public Inode Root { get; } = Inode.NewFolder();

    /// <summary>Takes the archive's next entry.</summary>
    /// <exception cref="ImageException">It cannot be in a file system, or the image is too large.</exception>
    public void Add(TarEntry entry)
    {
        _ordinal++;
        _budget.AddEntry();
        Inode parent = _walk.FindParent(entry.Name, out string name)!;
        if (name.Length == 0)
        {
            // The root, or a folder that the path goes down into and up again.
            if (entry.Kind == TarEntryKind.Folder)
            {
                Describe(parent, entry);
                return;
            }

            throw PathWalk.Bad(entry.Name, "makes the image's root, or a folder above others, something other than a folder");
        }

        PathWalk.CheckName(name, entry.Name);
        if (name.StartsWith(WhiteoutPrefix, StringComparison.Ordinal))
        {
            AddWhiteout(parent, name, entry.Name);
            return;
        }

        if (entry.Kind == TarEntryKind.Folder)
        {
            Inode folder = parent.Children!.TryGetValue(name, out Inode? there) && there.Kind == InodeKind.Folder ? there : Inode.NewFolder();
            Describe(folder, entry);
            parent.Children[name] = folder;
            return;
        }

        parent.Children![name] = entry.Kind == TarEntryKind.HardLink ? Link(entry) : New(entry);
    }

    private static void AddWhiteout(Inode parent, string name, string path)
    {
        if (name == OpaqueWhiteout)
        {
            parent.Opaque = true;
        }
        else if (!name.StartsWith(AufsPrefix, StringComparison.Ordinal))
        {
            string hidden = name[WhiteoutPrefix.Length..];
            if (hidden is "" or "." or "..")
            {
                throw PathWalk.Bad(path, "is a whiteout of nothing");
            }

            (parent.Whiteouts ??= new HashSet<string>(StringComparer.Ordinal)).Add(hidden);
        }
    }

    private Inode Link(TarEntry entry)
    {
        Inode? folder = _look.FindParent(entry.LinkName, out string name);
        if (folder is not null && name.Length > 0 && folder.Children!.TryGetValue(name, out Inode? target))
        {
            return target.Kind != InodeKind.Folder ? target : throw PathWalk.Bad(entry.Name, "is a hard link to a folder");
        }

        return new Inode { Kind = InodeKind.LinkBelow, LinkTarget = entry.LinkName };
    }

    private Inode New(TarEntry entry)
    {
        if (entry.Kind == TarEntryKind.SymbolicLink && (entry.LinkName.Length is 0 or > MaxLinkBytes || entry.LinkName.Contains('\0')))
        {
            throw PathWalk.Bad(entry.Name, $"is a symbolic link to nothing, or to a path of more than {MaxLinkBytes} bytes");
        }

        _budget.AddFileBytes(entry.Size);
        var inode = new Inode
        {
            Kind = entry.Kind switch
            {
                TarEntryKind.File => InodeKind.File,
                TarEntryKind.SymbolicLink => InodeKind.SymbolicLink,
                TarEntryKind.CharacterNode => InodeKind.CharacterNode,
                TarEntryKind.BlockNode => InodeKind.BlockNode,
                TarEntryKind.Fifo => InodeKind.Fifo,
                _ => throw new ArgumentOutOfRangeException(nameof(entry)),
            },
            Size = entry.Kind == TarEntryKind.SymbolicLink ? entry.LinkName.Length : entry.Size,
            LinkTarget = entry.LinkName,
            DeviceMajor = entry.DeviceMajor,
            DeviceMinor = entry.DeviceMinor,
            Layer = _layer,
            Ordinal = _ordinal,
        };
        Describe(inode, entry);
        return inode;
    }

    private void Describe(Inode inode, TarEntry entry)
    {
        IReadOnlyList<Xattr> xattrs = KeptXattrs.Of(entry);
        _budget.AddXattrBytes(xattrs.Sum(xattr => (long)xattr.Name.Length + xattr.Value.Length));
        inode.Describe(entry.Mode, entry.Uid, entry.Gid, entry.MtimeSeconds, entry.MtimeNanoseconds, xattrs);
    }
}
